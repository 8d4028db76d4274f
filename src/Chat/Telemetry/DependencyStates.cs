namespace Chat.Telemetry;

/// <summary>The states of the node's dependencies, logged with event ids per dependency.</summary>
internal sealed class DependencyStates
{
    /// <summary>Creates the states of a node.</summary>
    public DependencyStates(TimeProvider time, ServerMetrics metrics, ILogger<DependencyStates> log)
    {
        Postgres = new(time, new PostgresLog(log));
        Redis = new(time, new RedisLog(log));
        metrics.ObserveOutages(() => Postgres.OutageDuration, () => Redis.OutageDuration);
    }

    /// <summary>PostgreSQL: without it nothing can be stored or read.</summary>
    public DependencyState Postgres { get; }

    /// <summary>Redis: without it messages are delivered, with a delay between nodes, and presence is not updated.</summary>
    public DependencyState Redis { get; }
}

internal sealed partial class PostgresLog(ILogger log) : DependencyLog
{
    [LoggerMessage(100, LogLevel.Warning, "PostgreSQL is unavailable ({Reason}); sends and reads fail with UNAVAILABLE until it recovers")]
    public override partial void Unavailable(string reason);

    [LoggerMessage(101, LogLevel.Warning,
        "PostgreSQL is still unavailable after {Seconds} s ({Reason}); {Sends:N0} sends and {Others:N0} other requests refused so far")]
    public override partial void StillUnavailable(long seconds, string reason, long sends, long others);

    [LoggerMessage(102, LogLevel.Warning,
        "PostgreSQL has recovered after {Seconds} s; {Sends:N0} sends and {Others:N0} other requests were refused")]
    public override partial void Recovered(long seconds, long sends, long others);
}

internal sealed partial class RedisLog(ILogger log) : DependencyLog
{
    [LoggerMessage(110, LogLevel.Warning,
        "Redis is unavailable ({Reason}); messages to other nodes are up to 5 s late, presence and typing are not updated")]
    public override partial void Unavailable(string reason);

    public override void StillUnavailable(long seconds, string reason, long sends, long others) => StillUnavailable(seconds, reason);

    public override void Recovered(long seconds, long sends, long others) => LogRecovery(seconds);

    [LoggerMessage(111, LogLevel.Warning, "Redis is still unavailable after {Seconds} s ({Reason})")]
    private partial void StillUnavailable(long seconds, string reason);

    [LoggerMessage(112, LogLevel.Warning, "Redis has recovered after {Seconds} s")]
    private partial void LogRecovery(long seconds);
}
