using Chat.RateLimiting;

namespace Chat.Socket;

/// <summary>
/// Leaves well: no new handshakes, no new frames, commits under way and their acks go out, then 1012 for everybody,
/// spread over a few seconds so that not all come back in the same instant. At a stop it runs before Kestrel stops; an operator can
/// ask for it without one, and take the node back into service.
/// </summary>
internal sealed partial class Drain(Hub hub, Limits limits, TimeProvider time, ILogger<Drain> log) : IHostedLifecycleService, IDisposable
{
    private const int CloseBatchSize = 50;
    private readonly Lock gate = new();
    private CancellationTokenSource? underWay;
    private Task closing = Task.CompletedTask;

    /// <summary>When an operator began it; null if none has, or it was ended.</summary>
    public DateTimeOffset? Since { get; private set; }

    /// <summary>Sends everybody elsewhere, in the background, and lets nobody in. Once is as good as twice.</summary>
    /// <returns>False if the node is stopping.</returns>
    public bool TryBegin()
    {
        lock (gate)
        {
            if (hub.State == NodeState.Draining)
                return true;
            if (!hub.TryTransition(NodeState.Draining))
                return false;
            Since = time.GetUtcNow();
            underWay = new CancellationTokenSource();
            closing = CloseAllAsync(Disconnect.Draining, underWay.Token);
            return true;
        }
    }

    /// <summary>Takes the node back into service. Who is still there stays; nobody is closed any more once this has returned.</summary>
    /// <returns>False if the node is stopping.</returns>
    public async Task<bool> TryEndAsync()
    {
        Task rest;
        lock (gate)
        {
            if (!hub.TryTransition(NodeState.Serving))
                return false;
            if (Since is { } began)
                BackInService((long)(time.GetUtcNow() - began).TotalSeconds, hub.Count);
            Since = null;
            rest = Cancel();
        }

        await rest.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return true;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            hub.TryTransition(NodeState.Stopping);
            Cancel();
        }

        await CloseAllAsync(Disconnect.ServerStopping, cancellationToken);
        // The heartbeat cuts those that do not answer the close; here only the wait for it, and for what their end brings.
        await Task.WhenAny(hub.Drained, Task.Delay(limits.CloseTimeout, time, cancellationToken));
        foreach (var connection in hub.Connections)
            connection.Abort();
        await Task.WhenAny(hub.Drained, Task.Delay(limits.CloseTimeout, time, cancellationToken));
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => underWay?.Dispose();

    // Closes those who are there now. Who comes later finds the node's state changed, and is turned away by it.
    private async Task CloseAllAsync(Disconnect reason, CancellationToken cancellation)
    {
        var connections = hub.Connections.ToArray();
        if (connections.Length > 0)
            Closing(reason.Reason, connections.Length);
        Random.Shared.Shuffle(connections);
        var batches = connections.Chunk(CloseBatchSize).ToArray();
        foreach (var batch in batches)
        {
            foreach (var connection in batch)
                connection.CloseAfterReply(reason);
            if (batches.Length > 1)
                await Task.Delay(limits.DrainSpread / batches.Length, time, cancellation);
        }
    }

    private Task Cancel()
    {
        underWay?.Cancel();
        return closing;
    }

    [LoggerMessage(310, LogLevel.Information, "Closing {Count} connections with 1012: {Reason}")]
    private partial void Closing(string reason, int count);

    [LoggerMessage(319, LogLevel.Information, "Back in service after {Seconds} s, {Count} connections are left")]
    private partial void BackInService(long seconds, int count);
}
