using Chat.RateLimiting;

namespace Chat.Socket;

/// <summary>
/// Drains the node: no new handshakes, no new frames, commits in progress complete and are acknowledged, then everyone
/// is closed with 1012, spread over a few seconds so that not all reconnect at once. At shutdown it runs before Kestrel
/// stops; an operator can also start it without a shutdown, and put the node back into service.
/// </summary>
internal sealed partial class Drain(Hub hub, Limits limits, TimeProvider time, ILogger<Drain> log) : IHostedLifecycleService, IDisposable
{
    private const int CloseBatchSize = 50;
    private readonly Lock gate = new();
    private CancellationTokenSource? cancellation;
    private Task closing = Task.CompletedTask;

    /// <summary>When an operator started the drain; null if none is in progress.</summary>
    public DateTimeOffset? Since { get; private set; }

    /// <summary>Starts draining in the background: closes all connections and rejects new ones. Idempotent.</summary>
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
            cancellation = new CancellationTokenSource();
            closing = CloseAllAsync(Disconnect.Draining, cancellation.Token);
            return true;
        }
    }

    /// <summary>Puts the node back into service. Remaining connections stay; none is closed once this has returned.</summary>
    /// <returns>False if the node is stopping.</returns>
    public async Task<bool> TryEndAsync()
    {
        Task closed;
        lock (gate)
        {
            if (!hub.TryTransition(NodeState.Serving))
                return false;
            if (Since is { } since)
                BackInService((long)(time.GetUtcNow() - since).TotalSeconds, hub.Count);
            Since = null;
            closed = Cancel();
        }

        await closed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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
        // The heartbeat aborts connections that do not answer the close; here, wait for that and for their clean-up.
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

    public void Dispose() => cancellation?.Dispose();

    // Closes the present connections. Later ones see the node's state and are rejected.
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
        cancellation?.Cancel();
        return closing;
    }

    [LoggerMessage(310, LogLevel.Information, "Closing {Count} connections with 1012: {Reason}")]
    private partial void Closing(string reason, int count);

    [LoggerMessage(319, LogLevel.Information, "The node is back in service after a drain of {Seconds} s; {Count} connections remain")]
    private partial void BackInService(long seconds, int count);
}
