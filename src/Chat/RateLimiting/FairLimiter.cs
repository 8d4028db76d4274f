using System.Collections.Concurrent;

namespace Chat.RateLimiting;

/// <summary>
/// Limits each user's concurrent work on this node; further work waits in order. Work is weighted by its cost, so that a few
/// expensive calls count as much as many cheap ones. Idle users have no entry.
/// </summary>
/// <param name="capacity">The total cost of a user's concurrent work; higher costs are clamped to it.</param>
/// <param name="maxWaiting">How much of one user's work may wait.</param>
internal class FairLimiter(int capacity, int maxWaiting)
{
    private readonly ConcurrentDictionary<Guid, UserQueue> users = new();
    private int queuedCount;

    /// <summary>The amount of work waiting, over all users.</summary>
    public int QueuedCount => Volatile.Read(ref queuedCount);

    /// <summary>The number of users with work in progress.</summary>
    public int ActiveUsers => users.Count;

    /// <summary>Waits for a permit, to be disposed when the work is done.</summary>
    /// <returns>The permit, or null if the user's queue is full.</returns>
    public ValueTask<Permit?> AcquireAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        cost = Math.Min(cost, capacity);
        while (true)
        {
            var queue = users.GetOrAdd(userId, static (id, limiter) => new UserQueue(id, limiter), this);
            lock (queue)
            {
                // Removed in between.
                if (queue.IsRemoved)
                    continue;
                if (queue.Waiting.Count == 0 && queue.InFlight + cost <= capacity)
                {
                    queue.InFlight += cost;
                    return new(new Permit(queue, cost));
                }

                if (queue.Waiting.Count >= maxWaiting)
                    return new((Permit?)null);
                var waiter = new Waiter(cost);
                queue.Waiting.AddLast(waiter.Node);
                Interlocked.Increment(ref queuedCount);
                return new(WaitAsync(queue, waiter, cancellation));
            }
        }
    }

    private async Task<Permit?> WaitAsync(UserQueue queue, Waiter waiter, CancellationToken cancellation)
    {
        using (cancellation.UnsafeRegister(_ => Cancel(queue, waiter), null))
            await waiter.Granted.Task;
        return new Permit(queue, waiter.Cost);
    }

    private void Cancel(UserQueue queue, Waiter waiter)
    {
        lock (queue)
        {
            if (waiter.Node.List is null)
                return;
            queue.Waiting.Remove(waiter.Node);
            Interlocked.Decrement(ref queuedCount);
            // It may have blocked cheaper work behind it.
            GrantNext(queue);
        }

        waiter.Granted.SetCanceled();
    }

    private void Release(UserQueue queue, int cost)
    {
        lock (queue)
        {
            queue.InFlight -= cost;
            GrantNext(queue);
        }
    }

    private void GrantNext(UserQueue queue)
    {
        while (queue.Waiting.First is { Value: var next } && queue.InFlight + next.Cost <= capacity)
        {
            queue.Waiting.RemoveFirst();
            Interlocked.Decrement(ref queuedCount);
            queue.InFlight += next.Cost;
            next.Granted.SetResult();
        }

        if (queue.InFlight > 0 || queue.Waiting.Count > 0)
            return;
        queue.IsRemoved = true;
        users.TryRemove(KeyValuePair.Create(queue.UserId, queue));
    }

    /// <summary>Permission for work in progress; released when disposed.</summary>
    internal sealed class Permit(UserQueue queue, int cost) : IDisposable
    {
        private UserQueue? owner = queue;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref owner, null) is { } queue)
                queue.Limiter.Release(queue, cost);
        }
    }

    /// <summary>One user's work; locked on itself.</summary>
    internal sealed class UserQueue(Guid userId, FairLimiter limiter)
    {
        public Guid UserId => userId;

        public FairLimiter Limiter => limiter;

        public LinkedList<Waiter> Waiting { get; } = [];

        public int InFlight { get; set; }

        public bool IsRemoved { get; set; }
    }

    /// <summary>Work that waits for a permit.</summary>
    internal sealed class Waiter
    {
        public Waiter(int cost) => (Cost, Node) = (cost, new LinkedListNode<Waiter>(this));

        public int Cost { get; }

        public LinkedListNode<Waiter> Node { get; }

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
