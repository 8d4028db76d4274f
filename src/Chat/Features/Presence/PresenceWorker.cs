using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Json;
using Chat.Socket;
using Chat.Telemetry;
using Marten;

namespace Chat.Features;

/// <summary>
/// Takes leases and gives them back, and tells of what changed. Connections come and go into its queue and nobody
/// waits for it; it takes what has piled up, cancels out what came and went again, and asks Redis and PostgreSQL once
/// for all of it: a thousand people coming back are a few round trips, not a thousand. What Redis or PostgreSQL could
/// not take is tried again until they can.
/// </summary>
internal sealed partial class PresenceWorker(
    PresenceLeases leases, PresenceViews views, RedisConnection redis, IDocumentStore store, ServerMetrics metrics, TimeProvider time, ILogger<PresenceWorker> log)
    : SupervisedBackgroundService(time, log), IConnectionObserver
{
    private const int MaxBatch = 256;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly Channel<Arrival> queue = Channel.CreateUnbounded<Arrival>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Channel<Announcement> announcements = Channel.CreateUnbounded<Announcement>(new UnboundedChannelOptions { SingleReader = true });

    // The leases that this node has taken and renews. A connection is in here only once its lease was taken: a renewal
    // that came first would hide that its user has come online.
    private readonly Dictionary<Guid, Holding> held = [];
    private readonly Lock gate = new();
    private List<Arrival> pending = [];
    private List<Announcement> unpublished = [];

    public ValueTask OnOpenedAsync(Connection connection)
    {
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsHere: true));
        return ValueTask.CompletedTask;
    }

    public ValueTask OnClosedAsync(Connection connection)
    {
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsHere: false));
        return ValueTask.CompletedTask;
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("presence of arrivals", ArrivalsAsync), ("renewal of leases", RenewalsAsync), ("presence announcements", AnnouncementsAsync)];

    /// <summary>Gives back all leases, so that whoever does not come back to another node is offline at once.</summary>
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
            // Away, or a host that does not wait for its services. The leases run out by themselves, and another node tells.
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
                var returns = redis.ReconnectCount;
                await RenewAsync();
                for (var waited = TimeSpan.Zero; waited < PresenceLeases.RenewInterval; waited += RetryDelay)
                {
                    // After an interruption the other nodes' leases look run out until those have renewed them.
                    if (!leases.IsSettling)
                    {
                        foreach (var (userId, end) in await leases.SweepAsync())
                            announcements.Writer.TryWrite(new Announcement(userId, Transition.WentOffline, PresenceLeases.RenewedAt(end)));
                    }

                    if (redis.ReconnectCount > returns)
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
        Holding[] own;
        Task<IReadOnlyList<Guid>> renewing;
        lock (gate)
        {
            own = [.. held.Values];
            renewing = leases.RenewAsync([.. own.Select(holding => (holding.UserId, holding.ConnectionId))]);
        }

        // Most often Redis has come back empty, and nobody has changed. But where this node was cut off for so long that
        // another one has told that its people had gone, it is to be told that they are here.
        var lost = (await renewing).ToHashSet();
        if (lost.Count == 0)
            return;
        await using var session = store.QuerySession();
        var toldGone = (await session.LoadManyAsync<LastSeen>(lost.ToArray())).ToDictionary(seen => seen.Id, seen => seen.ToldAt);
        var back = own.Where(holding => lost.Contains(holding.UserId) && toldGone.TryGetValue(holding.UserId, out var at) && at >= holding.Since);
        foreach (var userId in back.Select(holding => holding.UserId).Distinct())
            announcements.Writer.TryWrite(new Announcement(userId, Transition.CameOnline, Time.GetWireNow()));
    }

    private async Task HandleAsync()
    {
        // A connection that came and went again while Redis was busy never mattered.
        var wanted = pending.GroupBy(arrival => arrival.ConnectionId).Where(own => own.Count() == 1).SelectMany(own => own).ToArray();
        Task<Transition>[] asked;
        var now = leases.RedisTime;
        lock (gate)
        {
            // From here on nothing renews what is given back.
            foreach (var arrival in wanted.Where(arrival => !arrival.IsHere))
                held.Remove(arrival.ConnectionId);
            asked = [.. wanted.Select(arrival => arrival.IsHere
                ? leases.AddAsync(arrival.UserId, arrival.ConnectionId)
                : leases.RemoveAsync(arrival.UserId, arrival.ConnectionId))];
        }

        var transitions = await Task.WhenAll(asked);
        lock (gate)
        {
            foreach (var arrival in wanted.Where(arrival => arrival.IsHere))
                held[arrival.ConnectionId] = new Holding(arrival.UserId, arrival.ConnectionId, now);
        }

        pending = [];
        foreach (var (arrival, transition) in wanted.Zip(transitions).Where(outcome => outcome.Second != Transition.None))
            announcements.Writer.TryWrite(new Announcement(arrival.UserId, transition, Time.GetWireNow()));
    }

    private async Task AnnouncementsAsync(CancellationToken stopping)
    {
        while (unpublished.Count > 0 || await announcements.Reader.WaitToReadAsync(stopping))
        {
            // After an interruption the other nodes may not listen again yet, and nothing would repeat what they miss.
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

        // Whether it is so, and still so, is found out where it is told.
        views.Announce([.. unpublished.Select(change => change.UserId).Distinct()]);
        foreach (var change in unpublished)
            metrics.PresenceChanged(change.Transition == Transition.CameOnline);
        unpublished = [];
    }

    [LoggerMessage(240, LogLevel.Debug, "Presence is not up to date while Redis or PostgreSQL is unavailable ({Reason})")]
    private partial void NotUpToDate(string reason);

    private readonly record struct Arrival(Guid UserId, Guid ConnectionId, bool IsHere);

    private readonly record struct Holding(Guid UserId, Guid ConnectionId, DateTimeOffset Since);

    private readonly record struct Announcement(Guid UserId, Transition Transition, DateTimeOffset At);
}
