using System.Collections.Concurrent;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// What this node's users have been told of others. Whoever changes something only hints at it; here the truth, leases and blocks
/// together, is read anew and told where it differs from what was told last. Each read takes a number before it begins, and of two
/// the one that began later stays: so hints may come twice, late, or in any order, nobody waits for anybody else's read, what is
/// told last is true, and the same is never told twice.
/// </summary>
internal sealed partial class PresenceViews(
    PresenceLeases leases, Contacts contacts, RedisConnection redis, RedisBackplane backplane, TimeProvider time, ILogger<PresenceViews> log)
    : SupervisedBackgroundService(time, log), IConnectionObserver, IBlockObserver, INodeHandler<PresenceChanged>, INodeHandler<PresenceAnnounced>
{
    private const int MaxBatch = 1024;

    /// <summary>Stands in a hint for all of a user's contacts.</summary>
    private static readonly Guid All = Guid.Empty;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<Guid, PresenceView> views = new();
    private readonly ConcurrentDictionary<Connection, long> openings = new();
    private readonly Followers followers = new();
    private readonly HashSet<PresenceView> looking = [];
    private readonly Lock gate = new();
    private readonly Channel<(Guid To, Guid About)> hints = Channel.CreateUnbounded<(Guid, Guid)>(new UnboundedChannelOptions { SingleReader = true });
    private List<(Guid To, Guid About)> pending = [];
    private long reads;
    private int lookedAgain;

    /// <summary>Somebody's presence, as a user sees it, may have changed: to be told on every node where that user is.</summary>
    public void Invalidate(Guid to, Guid about)
    {
        EnqueueHint(to, about);
        backplane.Publish(to, new PresenceChanged(about));
    }

    /// <summary>These people may have come or gone: one publish for all of them, and each node knows who of its own users follows whom.</summary>
    public void Announce(IReadOnlyList<Guid> users)
    {
        HintFollowers(users);
        backplane.PublishToAll(new PresenceAnnounced(users));
    }

    /// <summary>
    /// Before auth_success: reads what status.bulk will say, so that whatever changes after auth_success is told on top of it. What is
    /// news in it, the user's other connections hear at once. Several connections of one user share a read that is under way.
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
            // An empty list is better than a connection that does not open; what it lacks is told once PostgreSQL is back.
            NotUpToDate(failure.Message);
            EnqueueHint(view.UserId, All);
        }

        openings[connection] = read;
    }

    /// <summary>status.bulk, in parts: the people with whom the user has talked last.</summary>
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
            looking.Remove(view);
            followers.Remove(view.UserId, view.Known);
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
            await RefreshAsync(both);
        }
        catch (Exception failure) when (IsTransientOutage(failure))
        {
            NotUpToDate(failure.Message);
            foreach (var (to, about) in both)
                EnqueueHint(to, about);
        }
    }

    /// <summary>The status of those among some people who are contacts of a user, as the user may see it.</summary>
    /// <remarks>Without PostgreSQL it is not known who they are, which is another thing than that there are none.</remarks>
    public async Task<IReadOnlyList<UserStatus>> StatusForAsync(Guid userId, IEnumerable<Guid> asked)
    {
        var all = await contacts.LoadAsync([.. asked.Select(other => (userId, other))]);
        var (online, isKnown) = await OnlineAsync(all);
        // Leases that nobody can renew say nothing: what the user's connections were told last is the best there is.
        var told = isKnown ? null : views.GetValueOrDefault(userId);
        return [.. all.Select(contact => PresenceView.Status(contact, online.Contains(contact.UserId) || (!contact.IsBlocked && told?.StatusOf(contact.UserId) == true)))];
    }

    void INodeHandler<PresenceChanged>.Handle(Guid userId, PresenceChanged received) => EnqueueHint(userId, received.UserId);

    void INodeHandler<PresenceAnnounced>.Handle(Guid userId, PresenceAnnounced received) => HintFollowers(received.Users);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("presence views", ProcessHintsAsync), ("presence views after an outage", RefreshAllAsync)];

    private void EnqueueHint(Guid to, Guid about)
    {
        if (views.ContainsKey(to))
            hints.Writer.TryWrite((to, about));
    }

    private void HintFollowers(IReadOnlyList<Guid> users)
    {
        lock (gate)
        {
            // Whom these follow is only just being read.
            foreach (var view in looking)
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

    // What was looked at while Redis was away, or before the other nodes had put their leases back, may be wrong, and
    // nobody hints at it again.
    private async Task RefreshAllAsync(CancellationToken stopping)
    {
        while (true)
        {
            await redis.WaitForReconnectAsync(lookedAgain, stopping);
            lookedAgain = redis.ReconnectCount;
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
        var own = pairs.Where(pair => views.ContainsKey(pair.To)).Distinct().ToArray();
        if (own.Length == 0)
            return;
        var read = Interlocked.Increment(ref reads);
        var found = await contacts.LoadAsync(own);
        foreach (var contact in found.Where(contact => contact.IsBlocked))
            Take(contact, isOnline: false, read);
        var visible = found.Where(contact => !contact.IsBlocked).ToArray();
        if (leases.IsSettling)
        {
            foreach (var contact in visible)
                EnqueueHint(contact.OfUser, contact.UserId);
            return;
        }

        var online = await leases.OnlineAsync([.. visible.Select(contact => contact.UserId).Distinct()]).WaitAsync(RedisConnection.Timeout, Time);
        foreach (var contact in visible)
            Take(contact, online.Contains(contact.UserId), read);
    }

    // Reads all contacts, or shares a read that is under way: what changes while it is, is told on top of it.
    private Task<long> LoadAsync(PresenceView view)
    {
        lock (gate)
        {
            if (view.Looking is { IsCompleted: false } looks)
                return looks;
            looking.Add(view);
            var read = Interlocked.Increment(ref reads);
            return view.Looking = Task.Run(() => ReadAsync(view, read));
        }
    }

    // A lease that is there is always true. One that is not says nothing while Redis is away or has just come back: then
    // what was told last is the best there is, and for somebody new here a list that says "away" is better than a
    // connection that does not open.
    private async Task<long> ReadAsync(PresenceView view, long read)
    {
        List<Guid> again = [];
        try
        {
            var all = await contacts.LoadAsync(view.UserId);
            var (online, isKnown) = await OnlineAsync(all);
            foreach (var contact in all)
                Take(contact, online.Contains(contact.UserId), read, isKnown);
            // Nobody may hint at it again when Redis is back.
            if (!isKnown)
                again.AddRange(all.Select(contact => contact.UserId));
            return read;
        }
        finally
        {
            lock (gate)
            {
                looking.Remove(view);
                again.AddRange(view.Missed.Intersect(view.Known));
                view.Missed.Clear();
            }

            foreach (var about in again)
                EnqueueHint(view.UserId, about);
        }
    }

    private void Take(Contact contact, bool isOnline, long read, bool isKnown = true)
    {
        lock (gate)
        {
            // Somebody who has left meanwhile follows nobody.
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
            var online = await leases.OnlineAsync([.. all.Where(contact => !contact.IsBlocked).Select(contact => contact.UserId)]).WaitAsync(RedisConnection.Timeout, Time);
            return (online, isKnown);
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
