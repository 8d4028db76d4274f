using System.Collections.Concurrent;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: what the channel's user sees of somebody's presence may have changed.</summary>
/// <param name="UserId">Of whom.</param>
internal sealed record PresenceChanged(Guid UserId) : IEvent<PresenceChanged>
{
    public static string Name => "presence";

    public static JsonTypeInfo<PresenceChanged> Json => ChatJson.Wire.PresenceChanged;
}

/// <summary>
/// What this node's users have been told of others. Whoever changes something only hints at it; here the truth, leases
/// and blocks together, is read anew, one user's view at a time, and told where it differs from what was told last. So
/// hints may come twice, late, or in any order: what is told last is true, and the same is never told twice.
/// </summary>
internal sealed partial class PresenceViews(
    Hub hub, Leases leases, Contacts contacts, RedisConnection redis, RedisBackplane backplane, TimeProvider time, ILogger<PresenceViews> log)
    : LoopService(time, log), IConnectionObserver, IBlockObserver, INodeHandler<PresenceChanged>
{
    private const int MaxBatch = 1024;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<Guid, View> views = new();
    private readonly ConcurrentDictionary<Connection, StatusBulk> openings = new();
    private readonly Lock gate = new();
    private readonly Channel<(Guid To, Guid About)> hints = Channel.CreateUnbounded<(Guid, Guid)>(new UnboundedChannelOptions { SingleReader = true });
    private List<(Guid To, Guid About)> pending = [];
    private int lookedAgain;

    /// <summary>Somebody's presence, as a user sees it, may have changed: to be told on every node where that user is.</summary>
    public void MayHaveChanged(Guid to, Guid about)
    {
        Hint(to, about);
        backplane.Publish(to, new PresenceChanged(about));
    }

    /// <summary>
    /// Before auth_success: reads what status.bulk will say, so that whatever changes after auth_success is told on top
    /// of it. What is news in it, the user's other connections hear at once. Nothing is told until it is out.
    /// </summary>
    public async ValueTask OpeningAsync(Connection connection)
    {
        var userId = connection.User.Id;
        View view;
        lock (gate)
        {
            view = views.GetOrAdd(userId, _ => new View());
            view.Connections.Add(connection);
        }

        await view.Turn.WaitAsync();
        openings[connection] = new StatusBulk([]);
        var (all, isKnown) = await LookAsync(userId, view.Online);
        foreach (var status in all)
        {
            Tell(userId, view, status);
            // Redis is away, and nobody may hint at it again when it is back.
            if (!isKnown)
                Hint(userId, status.UserId);
        }

        view.Online ??= [.. all.Where(status => status.Online).Select(status => status.UserId)];
        openings[connection] = new StatusBulk(all);
    }

    /// <summary>status.bulk: everybody the user shares a conversation with.</summary>
    public ValueTask OpenedAsync(Connection connection)
    {
        if (openings.TryRemove(connection, out var bulk))
        {
            connection.Send(bulk);
            views[connection.User.Id].Turn.Release();
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask ClosedAsync(Connection connection)
    {
        lock (gate)
        {
            if (!views.TryGetValue(connection.User.Id, out var view) || !view.Connections.Remove(connection))
                return ValueTask.CompletedTask;
            // Its opening failed half way.
            if (openings.TryRemove(connection, out _))
                view.Turn.Release();
            if (view.Connections.Count == 0)
                views.TryRemove(connection.User.Id, out _);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A block makes the two vanish for each other; its end brings those who are there back.</summary>
    public async ValueTask BlockChangedAsync(Guid one, Guid other)
    {
        backplane.Publish(one, new PresenceChanged(other));
        backplane.Publish(other, new PresenceChanged(one));
        (Guid, Guid)[] both = [(one, other), (other, one)];
        try
        {
            await ShowAsync(both);
        }
        catch (Exception failure) when (IsAway(failure))
        {
            NotUpToDate(failure.Message);
            foreach (var (to, about) in both)
                Hint(to, about);
        }
    }

    /// <summary>The status of all contacts of a user, as the user may see it.</summary>
    /// <remarks>Without PostgreSQL it is not known who they are, which is another thing than that there are none.</remarks>
    public async Task<IReadOnlyList<UserStatus>> StatusForAsync(Guid userId)
    {
        var all = await contacts.LoadAsync([userId]);
        var (online, _) = await OnlineAsync(all);
        return [.. all.Select(contact => Status(contact, online.Contains(contact.UserId)))];
    }

    void INodeHandler<PresenceChanged>.Handle(Guid userId, PresenceChanged received) => Hint(userId, received.UserId);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("presence views", ShowHintsAsync), ("presence views after an outage", LookAgainAsync)];

    private void Hint(Guid to, Guid about)
    {
        if (views.ContainsKey(to))
            hints.Writer.TryWrite((to, about));
    }

    private async Task ShowHintsAsync(CancellationToken stopping)
    {
        while (pending.Count > 0 || await hints.Reader.WaitToReadAsync(stopping))
        {
            if (leases.IsSettling)
            {
                await Task.Delay(Pause, Time, stopping);
                continue;
            }

            while (pending.Count < MaxBatch && hints.Reader.TryRead(out var hint))
                pending.Add(hint);
            await ShowAsync(pending);
            pending = [];
        }
    }

    // What was looked at while Redis was away, or before the other nodes had put their leases back, may be wrong, and
    // nobody hints at it again.
    private async Task LookAgainAsync(CancellationToken stopping)
    {
        while (true)
        {
            await redis.BackAsync(lookedAgain, stopping);
            var returns = redis.Returns;
            leases.NoteInterruption();
            foreach (var part in views.Keys.Chunk(MaxBatch))
            {
                foreach (var contact in await contacts.LoadAsync(part))
                    Hint(contact.OfUser, contact.UserId);
            }

            // Not before: with PostgreSQL away, too, the loop comes here again.
            lookedAgain = returns;
        }
    }

    private async Task ShowAsync(IReadOnlyCollection<(Guid To, Guid About)> pairs)
    {
        // In one order everywhere, so that nobody waits in a circle.
        var own = pairs.Select(pair => pair.To).Distinct().Order()
            .Select(userId => (UserId: userId, View: views.GetValueOrDefault(userId)))
            .Where(found => found.View is not null)
            .ToDictionary(found => found.UserId, found => found.View!);
        if (own.Count == 0)
            return;
        foreach (var view in own.Values)
            await view.Turn.WaitAsync();
        try
        {
            var found = await contacts.LoadAsync([.. pairs.Where(pair => own.ContainsKey(pair.To)).Distinct()]);
            foreach (var contact in found.Where(contact => contact.IsApart))
                Tell(contact.OfUser, own[contact.OfUser], Status(contact, isOnline: false));
            var visible = found.Where(contact => !contact.IsApart).ToArray();
            if (leases.IsSettling)
            {
                foreach (var contact in visible)
                    Hint(contact.OfUser, contact.UserId);
                return;
            }

            var online = await leases.OnlineAsync([.. visible.Select(contact => contact.UserId).Distinct()]).WaitAsync(RedisConnection.Patience, Time);
            foreach (var contact in visible)
                Tell(contact.OfUser, own[contact.OfUser], Status(contact, online.Contains(contact.UserId)));
        }
        finally
        {
            foreach (var view in own.Values)
                view.Turn.Release();
        }
    }

    // A lease that is there is always true. One that is not says nothing while Redis is away or has just come back: then
    // what was told last is the best there is, and for somebody new here a list that says "away" is better than a
    // connection that does not open.
    private async Task<(IReadOnlyList<UserStatus> All, bool IsKnown)> LookAsync(Guid userId, HashSet<Guid>? told)
    {
        IReadOnlyList<Contact> all;
        try
        {
            all = await contacts.LoadAsync([userId]);
        }
        catch (Exception failure) when (IsAway(failure))
        {
            NotUpToDate(failure.Message);
            return ([], false);
        }

        var (online, isKnown) = await OnlineAsync(all);
        return ([.. all.Select(contact => Status(contact, IsOnline(contact)))], isKnown);

        bool IsOnline(Contact contact) =>
            online.Contains(contact.UserId) || (!isKnown && !contact.IsApart && told?.Contains(contact.UserId) == true);
    }

    private async Task<(IReadOnlySet<Guid> Online, bool IsKnown)> OnlineAsync(IReadOnlyList<Contact> all)
    {
        if (!redis.IsConnected)
            return (new HashSet<Guid>(), false);
        try
        {
            var isKnown = !leases.IsSettling;
            var online = await leases.OnlineAsync([.. all.Where(contact => !contact.IsApart).Select(contact => contact.UserId)]).WaitAsync(RedisConnection.Patience, Time);
            return (online, isKnown);
        }
        catch (Exception failure) when (IsAway(failure))
        {
            NotUpToDate(failure.Message);
            return (new HashSet<Guid>(), false);
        }
    }

    private void Tell(Guid to, View view, UserStatus status)
    {
        // Before their first status.bulk nobody was told anything.
        if (view.Online is not { } online || status.Online == online.Contains(status.UserId))
            return;
        if (status.Online)
            online.Add(status.UserId);
        else
            online.Remove(status.UserId);
        var now = Time.GetWireNow();
        var frame = status.Online
            ? Frame.Of(new UserOnline(status.UserId, now), droppable: true)
            : Frame.Of(new UserOffline(status.UserId, status.LastSeenAt ?? now), droppable: true);
        hub.Send(to, frame);
    }

    private static UserStatus Status(Contact contact, bool isOnline) =>
        new(contact.UserId, isOnline, isOnline ? null : contact.LastSeenAt);

    [LoggerMessage(LogLevel.Warning, "Presence is not up to date: Redis or PostgreSQL is away ({Reason})")]
    private partial void NotUpToDate(string reason);

    /// <summary>One user of this node.</summary>
    private sealed class View
    {
        /// <summary>Held while the truth is read and told; of a new connection, up to its status.bulk.</summary>
        public SemaphoreSlim Turn { get; } = new(1);

        /// <summary>Guarded by the lock on all views.</summary>
        public List<Connection> Connections { get; } = [];

        /// <summary>Whom the user's connections believe to be there; null before the first of them was told.</summary>
        public HashSet<Guid>? Online { get; set; }
    }
}
