using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

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
