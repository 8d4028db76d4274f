using System.Threading.Channels;
using Chat.Backplane;
using Chat.Socket;
using Marten;

namespace Chat.Features;

/// <summary>
/// One loop a node that takes leases and gives them back, and tells of what changed. Connections come and go into its
/// queue and nobody waits for it; it takes what has piled up, cancels out what came and went again, and asks Redis
/// and PostgreSQL once for all of it: a thousand people coming back are a few round trips, not a thousand. What Redis
/// could not take is tried again until it can.
/// </summary>
internal sealed partial class PresenceWorker(
    Hub hub, Leases leases, Contacts contacts, RedisConnection redis, RedisBackplane backplane, IDocumentStore store, TimeProvider time, ILogger<PresenceWorker> log)
    : LoopService(time, log), IConnectionObserver, IBlockObserver
{
    private const int MaxBatch = 256;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly Channel<Arrival> queue = Channel.CreateUnbounded<Arrival>(new UnboundedChannelOptions { SingleReader = true });
    private List<Arrival> pending = [];

    /// <summary>status.bulk: everybody the user shares a conversation with.</summary>
    public async ValueTask OpenedAsync(Connection connection)
    {
        connection.Send(new StatusBulk(await StatusForAsync(connection.User.Id)));
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsHere: true));
    }

    public ValueTask ClosedAsync(Connection connection)
    {
        queue.Writer.TryWrite(new Arrival(connection.User.Id, connection.Id, IsHere: false));
        return ValueTask.CompletedTask;
    }

    /// <summary>A block makes the two vanish for each other; its end brings those who are there back.</summary>
    public async ValueTask BlockChangedAsync(Guid one, Guid other, bool isApart)
    {
        try
        {
            var online = await leases.OnlineAsync([one, other]);
            foreach (var (about, to) in ((Guid, Guid)[])[(one, other), (other, one)])
            {
                if (online.Contains(about))
                    backplane.Send(to, isApart ? Offline(about, Time.GetWireNow()) : Online(about));
            }
        }
        catch (Exception failure) when (IsAway(failure))
        {
            NotUpToDate(failure.Message);
        }
    }

    /// <summary>The status of all contacts of a user, as the user may see it.</summary>
    public async Task<IReadOnlyList<UserStatus>> StatusForAsync(Guid userId)
    {
        IReadOnlyList<Contact> all = [];
        try
        {
            all = await contacts.LoadAsync([userId]);
            var visible = all.Where(contact => !contact.IsApart).Select(contact => contact.UserId).ToArray();
            var online = redis.IsConnected ? await leases.OnlineAsync(visible).WaitAsync(RedisConnection.Patience) : new HashSet<Guid>();
            return [.. all.Select(contact => Status(contact, online.Contains(contact.UserId)))];
        }
        catch (Exception failure) when (IsAway(failure))
        {
            // Better a list that says "away" than a connection that does not open.
            NotUpToDate(failure.Message);
            return [.. all.Select(contact => Status(contact, isOnline: false))];
        }
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("presence of arrivals", ArrivalsAsync), ("renewal of leases", RenewalsAsync)];

    /// <summary>Gives back all leases, so that whoever does not come back to another node is offline at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        while (queue.Reader.TryRead(out var arrival))
            pending.Add(arrival);
        try
        {
            await HandleAsync();
        }
        catch (Exception failure) when (IsAway(failure) || failure is ObjectDisposedException)
        {
            // Away, or torn down under us by a host that is stopped twice, as test hosts are. The leases run out by themselves, and another node tells.
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
        var restored = new SemaphoreSlim(0);
        void Wake() => restored.Release();
        redis.Restored += Wake;
        try
        {
            while (true)
            {
                await leases.RenewAsync([.. hub.Connections.Where(connection => connection.IsAuthenticated).Select(connection => (connection.User.Id, connection.Id))]);
                for (var waited = TimeSpan.Zero; waited < Leases.Refresh; waited += Pause)
                {
                    await TellAsync([.. (await leases.SweepAsync()).Select(gone => (gone.UserId, Transition.WentOffline, Leases.RenewedAt(gone.End)))]);
                    if (await restored.WaitAsync(0, stopping))
                        break;
                    await Task.Delay(Pause, Time, stopping);
                }
            }
        }
        finally
        {
            redis.Restored -= Wake;
            restored.Dispose();
        }
    }

    private async Task HandleAsync()
    {
        // A connection that came and went again while Redis was busy never mattered.
        var wanted = pending.GroupBy(arrival => arrival.ConnectionId).Where(own => own.Count() == 1).SelectMany(own => own).ToArray();
        var changes = wanted.Select(arrival => arrival.IsHere
            ? leases.AddAsync(arrival.UserId, arrival.ConnectionId)
            : leases.RemoveAsync(arrival.UserId, arrival.ConnectionId)).ToArray();
        var transitions = await Task.WhenAll(changes);
        pending = [];

        var now = Time.GetWireNow();
        // Somebody who has come and gone within one batch, on two connections, has not changed.
        var changed = wanted.Zip(transitions, (arrival, transition) => (arrival.UserId, transition))
            .Where(change => change.transition != Transition.None)
            .GroupBy(change => change.UserId)
            .Where(own => own.Count() % 2 == 1)
            .Select(own => (own.Key, own.Last().transition, now));
        await TellAsync([.. changed]);
    }

    private async Task TellAsync(IReadOnlyCollection<(Guid UserId, Transition Transition, DateTimeOffset At)> changed)
    {
        if (changed.Count == 0)
            return;
        await using var session = store.LightweightSession();
        foreach (var (userId, _, at) in changed.Where(change => change.Transition == Transition.WentOffline))
            session.Store(new LastSeen { Id = userId, At = at });
        await session.SaveChangesAsync();

        var told = (await contacts.LoadAsync([.. changed.Select(change => change.UserId)])).ToLookup(contact => contact.OfUser);
        foreach (var (userId, transition, at) in changed)
        {
            var frame = transition == Transition.CameOnline ? Online(userId) : Offline(userId, at);
            foreach (var contact in told[userId].Where(contact => !contact.IsApart))
                backplane.Send(contact.UserId, frame);
        }
    }

    private static UserStatus Status(Contact contact, bool isOnline) =>
        new(contact.UserId, isOnline, isOnline || contact.IsApart ? null : contact.LastSeenAt);

    private Frame Online(Guid userId) => Frame.Of(new UserOnline(userId, Time.GetWireNow()), droppable: true);

    private static Frame Offline(Guid userId, DateTimeOffset lastSeenAt) => Frame.Of(new UserOffline(userId, lastSeenAt), droppable: true);

    [LoggerMessage(LogLevel.Warning, "Presence is not up to date: Redis or PostgreSQL is away ({Reason})")]
    private partial void NotUpToDate(string reason);

    private readonly record struct Arrival(Guid UserId, Guid ConnectionId, bool IsHere);
}
