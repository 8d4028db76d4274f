using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Json;
using Chat.Socket;
using Chat.Telemetry;
using Marten;

namespace Chat.Features;

/// <summary>
/// Acquires, renews and releases leases, and publishes presence transitions. Connections only enqueue and never wait. The worker
/// takes batches, coalesces connections that opened and closed within one, and issues a constant number of round trips for the
/// batch: a thousand reconnecting users cost a few. What Redis or PostgreSQL could not accept is retried until they do.
/// </summary>
internal sealed partial class PresenceWorker(
    PresenceLeases leases, PresenceViews views, RedisConnection redis, IDocumentStore store, ServerMetrics metrics, TimeProvider time,
    ILogger<PresenceWorker> log)
    : SupervisedBackgroundService(time, log), IConnectionObserver
{
    private const int MaxBatch = 256;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly Channel<Arrival> queue = Channel.CreateUnbounded<Arrival>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Channel<Announcement> announcements =
        Channel.CreateUnbounded<Announcement>(new UnboundedChannelOptions { SingleReader = true });

    // The leases that this node holds and renews. A connection is added only after its lease was acquired: renewing it
    // earlier would hide its user's online transition.
    private readonly Dictionary<Guid, Holding> held = [];
    private readonly Lock gate = new();
    private List<Arrival> pending = [];
    private List<Announcement> unpublished = [];

    public ValueTask OnOpenedAsync(Connection connection)
    {
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsOpen: true));
        return ValueTask.CompletedTask;
    }

    public ValueTask OnClosedAsync(Connection connection)
    {
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsOpen: false));
        return ValueTask.CompletedTask;
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("presence connection queue", ArrivalsAsync), ("presence lease renewal", RenewalsAsync),
            ("presence announcements", AnnouncementsAsync)];

    /// <summary>Releases all leases, so that users who do not reconnect to another node are offline at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        while (queue.Reader.TryRead(out var arrival))
            pending.Add(arrival);
        try
        {
            await HandleAsync();
            await PublishAsync();
        }
        catch (Exception failure) when (IsTransientOutage(failure) || failure is ObjectDisposedException)
        {
            // Unavailable, or disposed by a host that does not wait. The leases expire, and another node publishes the transitions.
            NotUpToDate(failure.Message);
        }
    }

    private async Task ArrivalsAsync(CancellationToken stopping)
    {
        while (pending.Count > 0 || await queue.Reader.WaitToReadAsync(stopping))
        {
            while (pending.Count < MaxBatch && queue.Reader.TryRead(out var arrival))
                pending.Add(arrival);
            await HandleAsync();
        }
    }

    private async Task RenewalsAsync(CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                var reconnectsSeen = redis.ReconnectCount;
                await RenewAsync();
                for (var waited = TimeSpan.Zero; waited < PresenceLeases.RenewInterval; waited += RetryDelay)
                {
                    // After an outage the other nodes' leases look expired until they have been renewed.
                    if (!leases.IsSettling)
                    {
                        foreach (var (userId, expiry) in await leases.SweepAsync())
                            announcements.Writer.TryWrite(
                                new Announcement(userId, Transition.WentOffline, PresenceLeases.RenewedAt(expiry)));
                    }

                    if (redis.ReconnectCount > reconnectsSeen)
                    {
                        leases.RecordInterruption();
                        break;
                    }

                    await Task.Delay(RetryDelay, Time, stopping);
                }
            }
        }
        catch (Exception failure) when (IsTransientOutage(failure))
        {
            leases.RecordInterruption();
            throw;
        }
    }

    private async Task RenewAsync()
    {
        await leases.SynchronizeAsync();
        Holding[] renewed;
        Task<IReadOnlyList<Guid>> renewing;
        lock (gate)
        {
            renewed = [.. held.Values];
            renewing = leases.RenewAsync([.. renewed.Select(holding => (holding.UserId, holding.ConnectionId))]);
        }

        // Usually Redis has restarted empty and nobody's presence has changed. But if this node was partitioned for so long
        // that another one has published its users as offline, they must be published as online.
        var lost = (await renewing).ToHashSet();
        if (lost.Count == 0)
            return;
        await using var session = store.QuerySession();
        var declaredOffline = (await session.LoadManyAsync<LastSeen>(lost.ToArray())).ToDictionary(seen => seen.Id, seen => seen.ToldAt);
        var back = renewed.Where(
            holding => lost.Contains(holding.UserId) && declaredOffline.TryGetValue(holding.UserId, out var at) && at >= holding.Since);
        foreach (var userId in back.Select(holding => holding.UserId).Distinct())
            announcements.Writer.TryWrite(new Announcement(userId, Transition.CameOnline, Time.GetWireNow()));
    }

    private async Task HandleAsync()
    {
        // Coalesce: a connection that opened and closed within one batch is a no-op.
        var effective =
            pending.GroupBy(arrival => arrival.ConnectionId).Where(group => group.Count() == 1).SelectMany(group => group).ToArray();
        Task<Transition>[] changes;
        var now = leases.RedisTime;
        lock (gate)
        {
            // Released leases must not be renewed any more.
            foreach (var arrival in effective.Where(arrival => !arrival.IsOpen))
                held.Remove(arrival.ConnectionId);
            changes = [.. effective.Select(arrival => arrival.IsOpen
                ? leases.AddAsync(arrival.UserId, arrival.ConnectionId)
                : leases.RemoveAsync(arrival.UserId, arrival.ConnectionId))];
        }

        var transitions = await Task.WhenAll(changes);
        lock (gate)
        {
            foreach (var arrival in effective.Where(arrival => arrival.IsOpen))
                held[arrival.ConnectionId] = new Holding(arrival.UserId, arrival.ConnectionId, now);
        }

        pending = [];
        foreach (var (arrival, transition) in effective.Zip(transitions).Where(outcome => outcome.Second != Transition.None))
            announcements.Writer.TryWrite(new Announcement(arrival.UserId, transition, Time.GetWireNow()));
    }

    private async Task AnnouncementsAsync(CancellationToken stopping)
    {
        while (unpublished.Count > 0 || await announcements.Reader.WaitToReadAsync(stopping))
        {
            // After an outage the other nodes may not have subscribed again, and nothing repeats what they miss.
            if (leases.IsSettling)
                await Task.Delay(RetryDelay, Time, stopping);
            else
                await PublishAsync();
        }
    }

    private async Task PublishAsync()
    {
        while (unpublished.Count < MaxBatch && announcements.Reader.TryRead(out var announcement))
            unpublished.Add(announcement);
        if (unpublished.Count == 0)
            return;

        await using var session = store.LightweightSession();
        foreach (var (userId, _, at) in unpublished.Where(change => change.Transition == Transition.WentOffline))
            session.Store(new LastSeen { Id = userId, At = at, ToldAt = leases.RedisTime });
        await session.SaveChangesAsync();

        // Receivers check themselves whether the transition still holds.
        views.Announce([.. unpublished.Select(change => change.UserId).Distinct()]);
        foreach (var change in unpublished)
            metrics.PresenceChanged(change.Transition == Transition.CameOnline);
        unpublished = [];
    }

    [LoggerMessage(240, LogLevel.Debug, "Presence is not up to date while Redis or PostgreSQL is unavailable ({Reason})")]
    private partial void NotUpToDate(string reason);

    private readonly record struct Arrival(Guid UserId, Guid ConnectionId, bool IsOpen);

    private readonly record struct Holding(Guid UserId, Guid ConnectionId, DateTimeOffset Since);

    private readonly record struct Announcement(Guid UserId, Transition Transition, DateTimeOffset At);
}
