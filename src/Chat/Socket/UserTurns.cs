using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// A bounded share of the node for each user: so much work of theirs is in flight at a time, and the rest waits in the order in
/// which it came. Work counts by its cost, so that a few expensive calls weigh as much as many cheap ones. Whoever is idle has
/// no entry here.
/// </summary>
/// <param name="capacity">The cost of what a user may have in flight; whatever costs more counts as this much.</param>
/// <param name="mostWaiting">How many may wait for one user's turns.</param>
internal class UserTurns(int capacity, int mostWaiting)
{
    private readonly ConcurrentDictionary<Guid, Line> lines = new();
    private int waiting;

    /// <summary>How many wait for their turn, over all users.</summary>
    public int Waiting => Volatile.Read(ref waiting);

    /// <summary>How many users have something in flight.</summary>
    public int Count => lines.Count;

    /// <summary>Waits for the user's turn; to be disposed when the work is done.</summary>
    /// <returns>The turn, or null if too many of the user's wait already.</returns>
    public ValueTask<Turn?> TakeAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        cost = Math.Min(cost, capacity);
        while (true)
        {
            var line = lines.GetOrAdd(userId, static (id, turns) => new Line(id, turns), this);
            lock (line)
            {
                // Taken away in between.
                if (line.IsOver)
                    continue;
                if (line.Waiting.Count == 0 && line.InFlight + cost <= capacity)
                {
                    line.InFlight += cost;
                    return new(new Turn(line, cost));
                }

                if (line.Waiting.Count >= mostWaiting)
                    return new((Turn?)null);
                var waiter = new Waiter(cost);
                line.Waiting.AddLast(waiter.Place);
                Interlocked.Increment(ref waiting);
                return new(WaitAsync(line, waiter, cancellation));
            }
        }
    }

    private async Task<Turn?> WaitAsync(Line line, Waiter waiter, CancellationToken cancellation)
    {
        using (cancellation.UnsafeRegister(_ => Leave(line, waiter), null))
            await waiter.Granted.Task;
        return new Turn(line, waiter.Cost);
    }

    private void Leave(Line line, Waiter waiter)
    {
        lock (line)
        {
            if (waiter.Place.List is null)
                return;
            line.Waiting.Remove(waiter.Place);
            Interlocked.Decrement(ref waiting);
            // It may have been in the way of cheaper work behind it.
            GoOn(line);
        }

        waiter.Granted.SetCanceled();
    }

    private void Return(Line line, int cost)
    {
        lock (line)
        {
            line.InFlight -= cost;
            GoOn(line);
        }
    }

    private void GoOn(Line line)
    {
        while (line.Waiting.First is { Value: var next } && line.InFlight + next.Cost <= capacity)
        {
            line.Waiting.RemoveFirst();
            Interlocked.Decrement(ref waiting);
            line.InFlight += next.Cost;
            next.Granted.SetResult();
        }

        if (line.InFlight > 0 || line.Waiting.Count > 0)
            return;
        line.IsOver = true;
        lines.TryRemove(KeyValuePair.Create(line.UserId, line));
    }

    /// <summary>Work in flight.</summary>
    internal sealed class Turn(Line line, int cost) : IDisposable
    {
        private Line? held = line;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref held, null) is { } own)
                own.Turns.Return(own, cost);
        }
    }

    /// <summary>One user's work; its own lock.</summary>
    internal sealed class Line(Guid userId, UserTurns turns)
    {
        public Guid UserId => userId;

        public UserTurns Turns => turns;

        public LinkedList<Waiter> Waiting { get; } = [];

        public int InFlight { get; set; }

        public bool IsOver { get; set; }
    }

    /// <summary>Work that waits.</summary>
    internal sealed class Waiter
    {
        public Waiter(int cost) => (Cost, Place) = (cost, new LinkedListNode<Waiter>(this));

        public int Cost { get; }

        public LinkedListNode<Waiter> Place { get; }

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>
/// The general gate of the pipeline: REST calls and events that ask the database, one user's over all connections together. So
/// one user has no more than a few of the node's connections to the database, however many sockets and requests they send.
/// </summary>
internal sealed class WorkTurns : UserTurns
{
    /// <summary>The cost of work that is to be the only work of its user's.</summary>
    public const int All = int.MaxValue;

    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);
    private readonly ServerMetrics metrics;
    private readonly Dependency postgres;

    public WorkTurns(Limits limits, ServerMetrics metrics, Dependencies dependencies)
        : base(limits.UserConcurrency, limits.UserQueue)
    {
        this.metrics = metrics;
        postgres = dependencies.Postgres;
        metrics.WatchWork(() => Waiting);
    }

    /// <summary>
    /// Waits for the user's turn. What had to wait while the database became unavailable is refused then, and not tried: each try
    /// lasts seconds, one behind the other. Work that finds a turn free goes on trying.
    /// </summary>
    /// <returns>To be disposed when the work is done, or refused.</returns>
    public async ValueTask<Entry> EnterAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        var taking = TakeAsync(userId, cost, cancellation);
        var hasWaited = !taking.IsCompleted;
        if (await taking is not { } turn)
        {
            metrics.LimitHit(nameof(Limits.UserQueue));
            return new(null, ChatError.RateLimited(Moment));
        }

        if (!hasWaited || !postgres.IsUnavailable)
            return new(turn, null);
        turn.Dispose();
        postgres.Refused();
        return new(null, ChatError.Unavailable);
    }

    /// <summary>The outcome of waiting: a turn, or why there is none.</summary>
    internal readonly struct Entry(Turn? turn, ChatError? refusal) : IDisposable
    {
        public ChatError? Refusal => refusal;

        public void Dispose() => turn?.Dispose();
    }
}

/// <summary>
/// Sign-ins of one user. What they ask grows with the user's conversations, so most of a user's share rests in between: whoever
/// signs in again and again waits for themselves, and nobody else waits for them.
/// </summary>
internal sealed class SignInTurns(TimeProvider time) : UserTurns(AtOnce, int.MaxValue)
{
    /// <summary>Of the node's turns, one user's.</summary>
    public const int AtOnce = 2;

    private const int RestPerWork = 3;
    private static readonly TimeSpan LongestRest = TimeSpan.FromSeconds(1);

    /// <summary>Gives a turn back once it has rested.</summary>
    /// <param name="turn">The turn.</param>
    /// <param name="worked">How long it was in use.</param>
    public async Task RestAsync(Turn turn, TimeSpan worked)
    {
        using (turn)
        {
            var rest = worked * RestPerWork;
            if (rest > TimeSpan.Zero)
                await Task.Delay(rest < LongestRest ? rest : LongestRest, time);
        }
    }
}
