using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Who is writing on this node's connections: what was shown of it last, and when.</summary>
internal sealed class TypingTracker(BlockCache blocks, RedisBackplane backplane, TimeProvider time, ILogger<TypingTracker> log) : SupervisedBackgroundService(time, log), IConnectionObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Expiry = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<(Guid UserId, Guid ConversationId), TypingState> typists = new();

    /// <summary>Somebody starts, goes on or stops.</summary>
    public async ValueTask SetAsync(Conversation conversation, Connection connection, bool isTyping)
    {
        var key = (connection.User.Id, conversation.Id);
        while (isTyping || typists.ContainsKey(key))
        {
            var typist = typists.GetOrAdd(key, _ => new TypingState(conversation));
            if (!typist.Set(connection, isTyping ? Time.GetUtcNow() + Expiry : default))
                continue;
            await ShowAsync(key, typist);
            return;
        }
    }

    public ValueTask OnClosedAsync(Connection connection)
    {
        foreach (var (_, typist) in typists)
            typist.Leave(connection);
        return ValueTask.CompletedTask;
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("end of typing", ExpireAsync)];

    private async Task ExpireAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        blocks.Changed += CheckAgain;
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                foreach (var (key, typist) in typists)
                {
                    if (typist.TakeCheck())
                        await HideAsync(key, typist);
                    await ShowAsync(key, typist);
                }
            }
        }
        finally
        {
            blocks.Changed -= CheckAgain;
        }
    }

    private void CheckAgain(Guid one, Guid other)
    {
        foreach (var ((userId, _), typist) in typists)
        {
            if (userId == one || userId == other)
                typist.WantCheck();
        }
    }

    // Who is shown somebody's typing as a block comes between the two is not to see the end of it either.
    private async Task HideAsync((Guid UserId, Guid ConversationId) key, TypingState typist)
    {
        var apart = await blocks.BlockedWithAsync(key.UserId);
        foreach (var other in typist.HideFrom(apart))
            backplane.Send(other, Update(key, isTyping: false));
    }

    // Tells the others where what they were told last is no longer so, unless they were told just now.
    private async ValueTask ShowAsync((Guid UserId, Guid ConversationId) key, TypingState typist)
    {
        if (typist.Update(Time.GetUtcNow(), out var isOver) is not { } isTyping)
        {
            if (isOver)
                typists.TryRemove(KeyValuePair.Create(key, typist));
            return;
        }

        var apart = await blocks.BlockedWithAsync(key.UserId);
        var frame = Update(key, isTyping);
        foreach (var other in isTyping ? typist.ShowTo(typist.Conversation.Members.Where(member => member != key.UserId && !apart.Contains(member))) : typist.HideFromAll())
            backplane.Send(other, frame);
    }

    private static Frame Update((Guid UserId, Guid ConversationId) key, bool isTyping) =>
        Frame.Of(new TypingUpdate(key.ConversationId, key.UserId, isTyping), droppable: true);

    /// <summary>One person in one conversation. The receive loops and the clock's meet here, hence the lock.</summary>
    private sealed class TypingState(Conversation conversation)
    {
        private readonly Lock gate = new();
        private Guid[] shownTo = [];
        private Connection? from;
        private DateTimeOffset until;
        private DateTimeOffset shownAt;
        private bool isShown;
        private bool isOver;
        private bool hasPaused;
        private bool wantsCheck;

        public Conversation Conversation => conversation;

        /// <returns>False if this one is over and done with: take a new one.</returns>
        public bool Set(Connection connection, DateTimeOffset end)
        {
            lock (gate)
            {
                (from, until) = (connection, end);
                hasPaused |= isShown && end == default;
                return !isOver;
            }
        }

        public void Leave(Connection connection)
        {
            lock (gate)
            {
                if (from == connection)
                    until = default;
            }
        }

        /// <summary>What is to be told now, if anything; what is over may be forgotten.</summary>
        public bool? Update(DateTimeOffset now, out bool over)
        {
            lock (gate)
            {
                var isTyping = until > now;
                var isQuiet = now < shownAt + MinInterval;
                // Kept until the pause is over, so that stopping and starting again cannot get around it.
                over = isOver = !isTyping && !isShown && !isQuiet;
                // Whoever stops and starts within the pause has sent a message, perhaps: that ended it for who got it.
                if ((isTyping == isShown && !(isTyping && hasPaused)) || isQuiet)
                    return null;
                (isShown, shownAt, hasPaused) = (isTyping, now, false);
                return isTyping;
            }
        }

        public Guid[] ShowTo(IEnumerable<Guid> others)
        {
            lock (gate)
                return shownTo = [.. others];
        }

        /// <summary>Takes those out who are not to see it any more.</summary>
        public Guid[] HideFrom(IReadOnlySet<Guid> apart)
        {
            lock (gate)
            {
                var hidden = Array.FindAll(shownTo, apart.Contains);
                shownTo = Array.FindAll(shownTo, other => !apart.Contains(other));
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

        public void WantCheck()
        {
            lock (gate)
                wantsCheck = true;
        }

        public bool TakeCheck()
        {
            lock (gate)
            {
                var wanted = wantsCheck;
                wantsCheck = false;
                return wanted;
            }
        }
    }
}
