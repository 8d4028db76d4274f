namespace Chat.Telemetry;

/// <summary>What a node depends on; log category <c>Chat.Dependencies</c>, each cause under event ids of its own.</summary>
internal sealed class DependencyStates
{
    /// <summary>Made once a node.</summary>
    public DependencyStates(TimeProvider time, ServerMetrics metrics, ILogger<DependencyStates> log)
    {
        Postgres = new(time, new PostgresLog(log));
        Redis = new(time, new RedisLog(log));
        metrics.ObserveOutages(() => Postgres.OutageDuration, () => Redis.OutageDuration);
    }

    /// <summary>PostgreSQL: without it nothing is stored, and nothing that is stored can be read.</summary>
    public DependencyState Postgres { get; }

    /// <summary>Redis: without it messages go on, late between nodes, and presence stands still.</summary>
    public DependencyState Redis { get; }
}

internal sealed partial class PostgresLog(ILogger log) : DependencyLog
{
    [LoggerMessage(100, LogLevel.Warning, "PostgreSQL unavailable ({Reason}): sends and reads are answered UNAVAILABLE until it is back")]
    public override partial void Unavailable(string reason);

    [LoggerMessage(101, LogLevel.Warning, "PostgreSQL still unavailable after {Seconds} s ({Reason}): {Sends:N0} sends and {Others:N0} other requests refused so far")]
    public override partial void StillUnavailable(long seconds, string reason, long sends, long others);

    [LoggerMessage(102, LogLevel.Warning, "PostgreSQL back after {Seconds} s, {Sends:N0} sends and {Others:N0} other requests refused")]
    public override partial void Recovered(long seconds, long sends, long others);
}

internal sealed partial class RedisLog(ILogger log) : DependencyLog
{
    [LoggerMessage(110, LogLevel.Warning, "Redis unavailable ({Reason}): messages go on, those to other nodes up to 5 s late; presence and typing stand still")]
    public override partial void Unavailable(string reason);

    public override void StillUnavailable(long seconds, string reason, long sends, long others) => StillUnavailable(seconds, reason);

    public override void Recovered(long seconds, long sends, long others) => Back(seconds);

    [LoggerMessage(111, LogLevel.Warning, "Redis still unavailable after {Seconds} s ({Reason})")]
    private partial void StillUnavailable(long seconds, string reason);

    [LoggerMessage(112, LogLevel.Warning, "Redis back after {Seconds} s")]
    private partial void Back(long seconds);
}
