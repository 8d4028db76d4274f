namespace Chat.Socket;

/// <summary>
/// Leaves well: no new handshakes, no new frames, commits under way and their acks go out, then 1012 for everybody,
/// spread over a few seconds so that not all come back in the same instant. Runs before Kestrel stops.
/// </summary>
internal sealed partial class Drain(Hub hub, Limits limits, TimeProvider time, ILogger<Drain> log) : IHostedLifecycleService
{
    private const int ClosesAtOnce = 50;

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        hub.StopAccepting();
        var connections = hub.Connections.ToArray();
        if (connections.Length > 0)
            DrainStarted(connections.Length);
        Random.Shared.Shuffle(connections);
        var batches = connections.Chunk(ClosesAtOnce).ToArray();
        foreach (var batch in batches)
        {
            foreach (var connection in batch)
                connection.CloseWhenAnswered(Disconnect.ServerStopping);
            if (batches.Length > 1)
                await Task.Delay(limits.DrainSpread / batches.Length, time, cancellationToken);
        }

        // The heartbeat cuts those that do not answer the close; here only the wait for it, and for what their end brings.
        await Task.WhenAny(hub.Emptied, Task.Delay(limits.CloseTimeout, time, cancellationToken));
        foreach (var connection in hub.Connections)
            connection.Abort();
        await Task.WhenAny(hub.Emptied, Task.Delay(limits.CloseTimeout, time, cancellationToken));
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(310, LogLevel.Information, "Stopping: closing {Count} connections with 1012")]
    private partial void DrainStarted(int count);
}
