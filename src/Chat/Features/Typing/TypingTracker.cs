using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Tracks who is typing on this node's connections, and what was last sent about it.</summary>
internal sealed class TypingTracker(BlockCache blocks, RedisBackplane backplane, TimeProvider time, ILogger<TypingTracker> log)
    : SupervisedBackgroundService(time, log), IConnectionObserver, IBlockObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Expiry = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<(Guid UserId, Guid ConversationId), TypingState> states = new();

    /// <summary>Handles a start, a continuation or a stop.</summary>
    public async ValueTask SetAsync(Conversation conversation, Connection connection, bool isTyping)
    {
        var key = (connection.User.Id, conversation.Id);
        while (isTyping || states.ContainsKey(key))
        {
            var state = states.GetOrAdd(key, _ => new TypingState(conversation));
            if (!state.Set(connection, isTyping ? Time.GetUtcNow() + Expiry : default))
                continue;
            await PublishAsync(key, state);
            return;
        }
    }

    public ValueTask OnClosedAsync(Connection connection)
    {
        foreach (var (_, state) in states)
            state.Leave(connection);
        return ValueTask.CompletedTask;
    }

    public void OnBlockChanged(Guid first, Guid second)
    {
        foreach (var ((userId, _), state) in states)
        {
            if (userId == first || userId == second)
                state.RequestCheck();
        }
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("typing expiry", ExpireAsync)];

    private async Task ExpireAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var (key, state) in states)
            {
                if (state.TakeCheck())
                    await HideAsync(key, state);
                await PublishAsync(key, state);
            }
        }
    }

    // When a block is added while typing is shown, the blocked user gets its end now: the real one would reveal more.
    private async Task HideAsync((Guid UserId, Guid ConversationId) key, TypingState state)
    {
        var blocked = await blocks.BlockedWithAsync(key.UserId);
        foreach (var other in state.HideFrom(blocked))
            backplane.Send(other, Update(key, isTyping: false));
    }

    // Notifies the other members if the last update sent is outdated, unless it was sent just now.
    private async ValueTask PublishAsync((Guid UserId, Guid ConversationId) key, TypingState state)
    {
        if (state.Update(Time.GetUtcNow(), out var isExpired) is not { } isTyping)
        {
            if (isExpired)
                states.TryRemove(KeyValuePair.Create(key, state));
            return;
        }

        var blocked = await blocks.BlockedWithAsync(key.UserId);
        var frame = Update(key, isTyping);
        var others = state.Conversation.Members.Where(member => member != key.UserId && !blocked.Contains(member));
        foreach (var other in isTyping ? state.ShowTo(others) : state.HideFromAll())
            backplane.Send(other, frame);
    }

    private static Frame Update((Guid UserId, Guid ConversationId) key, bool isTyping) =>
        Frame.Of(new TypingUpdate(key.ConversationId, key.UserId, isTyping), droppable: true);

    /// <summary>The state of one user in one conversation. Locked, because receive loops and the expiry loop use it.</summary>
    private sealed class TypingState(Conversation conversation)
    {
        private readonly Lock gate = new();
        private Guid[] shownTo = [];
        private Connection? from;
        private DateTimeOffset expiresAt;
        private DateTimeOffset shownAt;
        private bool isShown;
        private bool isExpired;
        private bool hasStopped;
        private bool needsCheck;

        public Conversation Conversation => conversation;

        /// <returns>False if this state has expired and was removed: the caller creates a new one.</returns>
        public bool Set(Connection connection, DateTimeOffset expiry)
        {
            lock (gate)
            {
                (from, expiresAt) = (connection, expiry);
                hasStopped |= isShown && expiry == default;
                return !isExpired;
            }
        }

        public void Leave(Connection connection)
        {
            lock (gate)
            {
                if (from == connection)
                    expiresAt = default;
            }
        }

        /// <summary>Returns the update to send now, if any, and whether the state can be removed.</summary>
        public bool? Update(DateTimeOffset now, out bool expired)
        {
            lock (gate)
            {
                var isTyping = expiresAt > now;
                var isThrottled = now < shownAt + MinInterval;
                // Kept until the interval has elapsed, so that stopping and starting again cannot bypass it.
                expired = isExpired = !isTyping && !isShown && !isThrottled;
                // A stop and a start within the interval are sent again: the message in between may have ended it for its receivers.
                if ((isTyping == isShown && !(isTyping && hasStopped)) || isThrottled)
                    return null;
                (isShown, shownAt, hasStopped) = (isTyping, now, false);
                return isTyping;
            }
        }

        public Guid[] ShowTo(IEnumerable<Guid> others)
        {
            lock (gate)
                return shownTo = [.. others];
        }

        /// <summary>Removes and returns the members who must not see it any more.</summary>
        public Guid[] HideFrom(IReadOnlySet<Guid> blocked)
        {
            lock (gate)
            {
                var hidden = Array.FindAll(shownTo, blocked.Contains);
                shownTo = Array.FindAll(shownTo, other => !blocked.Contains(other));
                return hidden;
            }
        }

        public Guid[] HideFromAll()
        {
            lock (gate)
            {
                var hidden = shownTo;
                shownTo = [];
                return hidden;
            }
        }

        public void RequestCheck()
        {
            lock (gate)
                needsCheck = true;
        }

        public bool TakeCheck()
        {
            lock (gate)
            {
                var needed = needsCheck;
                needsCheck = false;
                return needed;
            }
        }
    }
}
