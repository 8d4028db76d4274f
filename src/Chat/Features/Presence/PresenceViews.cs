using System.Collections.Concurrent;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// Maintains what this node's users have received of others' presence. Changes are only hints: on a hint, leases and blocks are
/// read again, and differences to what was last sent are pushed. Every read takes a number before it begins, and a later number
/// wins; so hints may be duplicated, delayed or reordered, reads need not wait for each other, the last status sent is
/// correct, and none is sent twice.
/// </summary>
internal sealed partial class PresenceViews(
    PresenceLeases leases, Contacts contacts, RedisConnection redis, RedisBackplane backplane, TimeProvider time,
    ILogger<PresenceViews> log)
    : SupervisedBackgroundService(time, log),
        IConnectionObserver, IBlockObserver, INodeHandler<PresenceChanged>, INodeHandler<PresenceAnnounced>
{
    private const int MaxBatch = 1024;

    /// <summary>In a hint: all contacts of the user.</summary>
    private static readonly Guid All = Guid.Empty;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<Guid, PresenceView> views = new();
    private readonly ConcurrentDictionary<Connection, long> openings = new();
    private readonly Followers followers = new();
    private readonly HashSet<PresenceView> loading = [];
    private readonly Lock gate = new();
    private readonly Channel<(Guid To, Guid About)> hints =
        Channel.CreateUnbounded<(Guid, Guid)>(new UnboundedChannelOptions { SingleReader = true });
    private List<(Guid To, Guid About)> pending = [];
    private long reads;
    private int reconnectsSeen;

    /// <summary>Hints, on all nodes, that a user's presence as seen by another user may have changed.</summary>
    public void Invalidate(Guid to, Guid about)
    {
        EnqueueHint(to, about);
        backplane.Publish(to, new PresenceChanged(about));
    }

    /// <summary>
    /// Hints that users may have come online or gone offline. One publish for all of them; each node knows which of its users
    /// follow whom.
    /// </summary>
    public void Announce(IReadOnlyList<Guid> users)
    {
        HintFollowers(users);
        backplane.PublishToAll(new PresenceAnnounced(users));
    }

    /// <summary>
    /// Reads the content of status.bulk before auth_success is sent, so that every later change is pushed as an update to it.
    /// Changes that the read finds are pushed to the user's other connections at once. Connections of one user share a read.
    /// </summary>
    public async ValueTask OnOpeningAsync(Connection connection)
    {
        PresenceView view;
        lock (gate)
        {
            view = views.GetOrAdd(connection.User.Id, id => new PresenceView(id));
            view.Connections.Add(connection);
        }

        var read = 0L;
        try
        {
            read = await LoadAsync(view);
        }
        catch (Exception failure) when (IsTransientOutage(failure))
        {
            // An incomplete list is better than a connection that does not open; the rest is sent once PostgreSQL is available.
            NotUpToDate(failure.Message);
            EnqueueHint(view.UserId, All);
        }

        openings[connection] = read;
    }

    /// <summary>Sends status.bulk in several frames.</summary>
    public ValueTask OnOpenedAsync(Connection connection)
    {
        if (openings.TryRemove(connection, out var read) && views.TryGetValue(connection.User.Id, out var view))
            view.Begin(connection, read);
        return ValueTask.CompletedTask;
    }

    public ValueTask OnClosedAsync(Connection connection)
    {
        openings.TryRemove(connection, out _);
        lock (gate)
        {
            if (!views.TryGetValue(connection.User.Id, out var view) || !view.Connections.Remove(connection))
                return ValueTask.CompletedTask;
            view.End(connection);
            if (view.Connections.Count > 0)
                return ValueTask.CompletedTask;
            views.TryRemove(view.UserId, out _);
            loading.Remove(view);
            followers.Remove(view.UserId, view.Known);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Pushes the change of a block: it hides the two users from each other, and its end reveals them again.</summary>
    public async ValueTask OnBlockStoredAsync(Guid first, Guid second)
    {
        backplane.Publish(first, new PresenceChanged(second));
        backplane.Publish(second, new PresenceChanged(first));
        (Guid To, Guid About)[] both = [(first, second), (second, first)];
        try
        {
            await RefreshAsync(both);
        }
        catch (Exception failure) when (IsTransientOutage(failure))
        {
            NotUpToDate(failure.Message);
            foreach (var (to, about) in both)
                EnqueueHint(to, about);
        }
    }

    /// <summary>Returns the presence of those of the given users who are contacts of the user.</summary>
    /// <remarks>Throws if PostgreSQL is unavailable: an empty list would claim that none is a contact.</remarks>
    public async Task<IReadOnlyList<UserStatus>> StatusForAsync(Guid userId, IEnumerable<Guid> users)
    {
        var all = await contacts.LoadAsync([.. users.Select(other => (userId, other))]);
        var (online, isKnown) = await OnlineAsync(all);
        // Leases cannot be renewed during an outage and mean nothing: fall back to the last status sent.
        var fallback = isKnown ? null : views.GetValueOrDefault(userId);
        return [.. all.Select(contact => PresenceView.Status(
            contact, online.Contains(contact.UserId) || (!contact.IsBlocked && fallback?.StatusOf(contact.UserId) == true)))];
    }

    void INodeHandler<PresenceChanged>.Handle(Guid userId, PresenceChanged received) => EnqueueHint(userId, received.UserId);

    void INodeHandler<PresenceAnnounced>.Handle(Guid userId, PresenceAnnounced received) => HintFollowers(received.Users);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("presence hints", ProcessHintsAsync), ("presence refresh after an outage", RefreshAllAsync)];

    private void EnqueueHint(Guid to, Guid about)
    {
        if (views.ContainsKey(to))
            hints.Writer.TryWrite((to, about));
    }

    private void HintFollowers(IReadOnlyList<Guid> users)
    {
        lock (gate)
        {
            // The contacts of these views are still being loaded.
            foreach (var view in loading)
                view.Missed.AddRange(users);
            foreach (var about in users)
            {
                foreach (var to in followers.Of(about))
                    hints.Writer.TryWrite((to, about));
            }
        }
    }

    private async Task ProcessHintsAsync(CancellationToken stopping)
    {
        while (pending.Count > 0 || await hints.Reader.WaitToReadAsync(stopping))
        {
            if (leases.IsSettling)
            {
                await Task.Delay(RetryDelay, Time, stopping);
                continue;
            }

            while (pending.Count < MaxBatch && hints.Reader.TryRead(out var hint))
                pending.Add(hint);
            foreach (var to in pending.Where(pair => pair.About == All).Select(pair => pair.To).Distinct())
            {
                if (views.TryGetValue(to, out var view))
                    await LoadAsync(view);
            }

            await RefreshAsync([.. pending.Where(pair => pair.About != All)]);
            pending = [];
        }
    }

    // Reads made during an outage, or before the other nodes had restored their leases, may be wrong, and no further hint
    // corrects them.
    private async Task RefreshAllAsync(CancellationToken stopping)
    {
        while (true)
        {
            await redis.WaitForReconnectAsync(reconnectsSeen, stopping);
            reconnectsSeen = redis.ReconnectCount;
            leases.RecordInterruption();
            foreach (var view in views.Values)
            {
                foreach (var about in view.Known)
                    EnqueueHint(view.UserId, about);
            }
        }
    }

    private async Task RefreshAsync(IReadOnlyCollection<(Guid To, Guid About)> pairs)
    {
        var local = pairs.Where(pair => views.ContainsKey(pair.To)).Distinct().ToArray();
        if (local.Length == 0)
            return;
        var read = Interlocked.Increment(ref reads);
        var found = await contacts.LoadAsync(local);
        foreach (var contact in found.Where(contact => contact.IsBlocked))
            Take(contact, isOnline: false, read);
        var visible = found.Where(contact => !contact.IsBlocked).ToArray();
        if (leases.IsSettling)
        {
            foreach (var contact in visible)
                EnqueueHint(contact.OfUser, contact.UserId);
            return;
        }

        var people = visible.Select(contact => contact.UserId).Distinct().ToArray();
        var online = await leases.OnlineAsync(people).WaitAsync(RedisConnection.Timeout, Time);
        foreach (var contact in visible)
            Take(contact, online.Contains(contact.UserId), read);
    }

    // Loads all contacts, or shares a load in progress: changes during the load are pushed afterwards.
    private Task<long> LoadAsync(PresenceView view)
    {
        lock (gate)
        {
            if (view.Loading is { IsCompleted: false } running)
                return running;
            loading.Add(view);
            var read = Interlocked.Increment(ref reads);
            return view.Loading = Task.Run(() => ReadAsync(view, read));
        }
    }

    // An existing lease is always valid. A missing one means nothing during an outage of Redis or just after it: then fall
    // back to the last status sent. For a user without one, a list that says "offline" is better than a connection that does
    // not open.
    private async Task<long> ReadAsync(PresenceView view, long read)
    {
        List<Guid> recheck = [];
        try
        {
            var all = await contacts.LoadAsync(view.UserId);
            var (online, isKnown) = await OnlineAsync(all);
            foreach (var contact in all)
                Take(contact, online.Contains(contact.UserId), read, isKnown);
            // No other hint may follow when Redis is available again.
            if (!isKnown)
                recheck.AddRange(all.Select(contact => contact.UserId));
            return read;
        }
        finally
        {
            lock (gate)
            {
                loading.Remove(view);
                recheck.AddRange(view.Missed.Intersect(view.Known));
                view.Missed.Clear();
            }

            foreach (var about in recheck)
                EnqueueHint(view.UserId, about);
        }
    }

    private void Take(Contact contact, bool isOnline, long read, bool isKnown = true)
    {
        lock (gate)
        {
            // The user may have disconnected meanwhile; then they follow nobody.
            if (views.TryGetValue(contact.OfUser, out var view) && view.Take(contact, isOnline, read, isKnown, Time))
                followers.Add(view.UserId, contact.UserId);
        }
    }

    private async Task<(IReadOnlySet<Guid> Online, bool IsKnown)> OnlineAsync(IReadOnlyList<Contact> all)
    {
        if (!redis.IsConnected)
            return (new HashSet<Guid>(), false);
        try
        {
            var isKnown = !leases.IsSettling;
            var visible = all.Where(contact => !contact.IsBlocked).Select(contact => contact.UserId).ToArray();
            return (await leases.OnlineAsync(visible).WaitAsync(RedisConnection.Timeout, Time), isKnown);
        }
        catch (Exception failure) when (IsTransientOutage(failure))
        {
            NotUpToDate(failure.Message);
            return (new HashSet<Guid>(), false);
        }
    }

    [LoggerMessage(241, LogLevel.Debug, "Presence is not up to date while Redis or PostgreSQL is unavailable ({Reason})")]
    private partial void NotUpToDate(string reason);
}
