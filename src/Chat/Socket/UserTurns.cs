using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// A bounded share of the node for each user: so much work of theirs is in flight at a time, and the rest waits in the order in
/// which it came. Work counts by its cost, so that a few expensive calls weigh as much as many cheap ones. Whoever is idle has
/// no entry here.
/// </summary>
/// <param name="capacity">The cost of what a user may have in flight; whatever costs more counts as this much.</param>
/// <param name="mostWaiting">How many may wait for one user's turns.</param>
internal class FairLimiter(int capacity, int mostWaiting)
{
    private readonly ConcurrentDictionary<Guid, UserQueue> users = new();
    private int queuedCount;

    /// <summary>How many wait for their turn, over all users.</summary>
    public int QueuedCount => Volatile.Read(ref queuedCount);

    /// <summary>How many users have something in flight.</summary>
    public int ActiveUsers => users.Count;

    /// <summary>Waits for the user's turn; to be disposed when the work is done.</summary>
    /// <returns>The turn, or null if too many of the user's wait already.</returns>
    public ValueTask<Permit?> AcquireAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        cost = Math.Min(cost, capacity);
        while (true)
        {
            var line = users.GetOrAdd(userId, static (id, turns) => new UserQueue(id, turns), this);
            lock (line)
            {
                // Taken away in between.
                if (line.IsRemoved)
                    continue;
                if (line.Waiting.Count == 0 && line.InFlight + cost <= capacity)
                {
                    line.InFlight += cost;
                    return new(new Permit(line, cost));
                }

                if (line.Waiting.Count >= mostWaiting)
                    return new((Permit?)null);
                var waiter = new Waiter(cost);
                line.Waiting.AddLast(waiter.Node);
                Interlocked.Increment(ref queuedCount);
                return new(WaitAsync(line, waiter, cancellation));
            }
        }
    }

    private async Task<Permit?> WaitAsync(UserQueue line, Waiter waiter, CancellationToken cancellation)
    {
        using (cancellation.UnsafeRegister(_ => Cancel(line, waiter), null))
            await waiter.Granted.Task;
        return new Permit(line, waiter.Cost);
    }

    private void Cancel(UserQueue line, Waiter waiter)
    {
        lock (line)
        {
            if (waiter.Node.List is null)
                return;
            line.Waiting.Remove(waiter.Node);
            Interlocked.Decrement(ref queuedCount);
            // It may have been in the way of cheaper work behind it.
            GrantNext(line);
        }

        waiter.Granted.SetCanceled();
    }

    private void Release(UserQueue line, int cost)
    {
        lock (line)
        {
            line.InFlight -= cost;
            GrantNext(line);
        }
    }

    private void GrantNext(UserQueue line)
    {
        while (line.Waiting.First is { Value: var next } && line.InFlight + next.Cost <= capacity)
        {
            line.Waiting.RemoveFirst();
            Interlocked.Decrement(ref queuedCount);
            line.InFlight += next.Cost;
            next.Granted.SetResult();
        }

        if (line.InFlight > 0 || line.Waiting.Count > 0)
            return;
        line.IsRemoved = true;
        users.TryRemove(KeyValuePair.Create(line.UserId, line));
    }

    /// <summary>Work in flight.</summary>
    internal sealed class Permit(UserQueue line, int cost) : IDisposable
    {
        private UserQueue? held = line;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref held, null) is { } own)
                own.Limiter.Release(own, cost);
        }
    }

    /// <summary>One user's work; its own lock.</summary>
    internal sealed class UserQueue(Guid userId, FairLimiter turns)
    {
        public Guid UserId => userId;

        public FairLimiter Limiter => turns;

        public LinkedList<Waiter> Waiting { get; } = [];

        public int InFlight { get; set; }

        public bool IsRemoved { get; set; }
    }

    /// <summary>Work that waits.</summary>
    internal sealed class Waiter
    {
        public Waiter(int cost) => (Cost, Node) = (cost, new LinkedListNode<Waiter>(this));

        public int Cost { get; }

        public LinkedListNode<Waiter> Node { get; }

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>
/// The general gate of the pipeline: REST calls and events that ask the database, one user's over all connections together. So
/// one user has no more than a few of the node's connections to the database, however many sockets and requests they send.
/// </summary>
internal sealed class WorkLimiter : FairLimiter
{
    /// <summary>The cost of work that is to be the only work of its user's.</summary>
    public const int Exclusive = int.MaxValue;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly ServerMetrics metrics;
    private readonly DependencyState postgres;

    public WorkLimiter(Limits limits, ServerMetrics metrics, DependencyStates dependencies)
        : base(limits.UserConcurrency, limits.UserQueue)
    {
        this.metrics = metrics;
        postgres = dependencies.Postgres;
        metrics.ObserveQueuedWork(() => QueuedCount);
    }

    /// <summary>
    /// Waits for the user's turn. What had to wait while the database became unavailable is refused then, and not tried: each try
    /// lasts seconds, one behind the other. Work that finds a turn free goes on trying.
    /// </summary>
    /// <returns>To be disposed when the work is done, or refused.</returns>
    public async ValueTask<Admission> AcquireOrRefuseAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        var taking = AcquireAsync(userId, cost, cancellation);
        var hasWaited = !taking.IsCompleted;
        if (await taking is not { } turn)
        {
            metrics.LimitHit(nameof(Limits.UserQueue));
            return new(null, ChatError.RateLimited(RetryDelay));
        }

        if (!hasWaited || !postgres.IsUnavailable)
            return new(turn, null);
        turn.Dispose();
        postgres.Refused();
        return new(null, ChatError.Unavailable);
    }

    /// <summary>The outcome of waiting: a turn, or why there is none.</summary>
    internal readonly struct Admission(Permit? turn, ChatError? refusal) : IDisposable
    {
        public ChatError? Refusal => refusal;

        public void Dispose() => turn?.Dispose();
    }
}

/// <summary>
/// Sign-ins of one user. What they ask grows with the user's conversations, so most of a user's share rests in between: whoever
/// signs in again and again waits for themselves, and nobody else waits for them.
/// </summary>
internal sealed class SignInLimiter(TimeProvider time) : FairLimiter(MaxPerUser, int.MaxValue)
{
    /// <summary>Of the node's turns, one user's.</summary>
    public const int MaxPerUser = 2;

    private const int CooldownFactor = 3;
    private static readonly TimeSpan MaxCooldown = TimeSpan.FromSeconds(1);

    /// <summary>Gives a turn back once it has rested.</summary>
    /// <param name="turn">The turn.</param>
    /// <param name="worked">How long it was in use.</param>
    public async Task ReleaseAfterCooldownAsync(Permit turn, TimeSpan worked)
    {
        using (turn)
        {
            var rest = worked * CooldownFactor;
            if (rest > TimeSpan.Zero)
                await Task.Delay(rest < MaxCooldown ? rest : MaxCooldown, time);
        }
    }
}
