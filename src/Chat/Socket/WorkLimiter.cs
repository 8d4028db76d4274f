using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Limits how many REST calls and events that query the database one user has in progress over all connections, so that a
/// user gets only a few of the node's database connections, however many sockets and requests they open.
/// </summary>
internal sealed class WorkLimiter : FairLimiter
{
    /// <summary>The cost of work that excludes all other work of its user.</summary>
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
    /// Waits for one of the user's permits. If it had to wait and the database has become unavailable, it is refused instead
    /// of run: each attempt would take seconds, one after the other. Work that gets a permit at once still tries.
    /// </summary>
    /// <returns>To be disposed when the work is done, or refused.</returns>
    public async ValueTask<Admission> AcquireOrRefuseAsync(Guid userId, int cost = 1, CancellationToken cancellation = default)
    {
        var acquiring = AcquireAsync(userId, cost, cancellation);
        var hasWaited = !acquiring.IsCompleted;
        if (await acquiring is not { } permit)
        {
            metrics.LimitHit(nameof(Limits.UserQueue));
            return new(null, ChatError.RateLimited(RetryDelay));
        }

        if (!hasWaited || !postgres.IsUnavailable)
            return new(permit, null);
        permit.Dispose();
        postgres.Refused();
        return new(null, ChatError.Unavailable);
    }

    /// <summary>The outcome of waiting: a permit, or an error.</summary>
    internal readonly struct Admission(Permit? permit, ChatError? refusal) : IDisposable
    {
        public ChatError? Refusal => refusal;

        public void Dispose() => permit?.Dispose();
    }
}
