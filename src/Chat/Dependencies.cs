namespace Chat;

/// <summary>What a node depends on; log category <c>Chat.Dependencies</c>, each cause under event ids of its own.</summary>
internal sealed class Dependencies
{
    /// <summary>Made once a node.</summary>
    public Dependencies(TimeProvider time, ServerMetrics metrics, ILogger<Dependencies> log)
    {
        Postgres = new(time, new PostgresLines(log));
        Redis = new(time, new RedisLines(log));
        metrics.WatchOutages(() => Postgres.Lasting, () => Redis.Lasting);
    }

    /// <summary>PostgreSQL: without it nothing is stored, and nothing that is stored can be read.</summary>
    public Dependency Postgres { get; }

    /// <summary>Redis: without it messages go on, late between nodes, and presence stands still.</summary>
    public Dependency Redis { get; }
}

internal sealed partial class PostgresLines(ILogger log) : DependencyLines
{
    [LoggerMessage(100, LogLevel.Warning, "PostgreSQL unavailable ({Reason}): sends and reads are answered UNAVAILABLE until it is back")]
    public override partial void Unavailable(string reason);

    [LoggerMessage(101, LogLevel.Warning, "PostgreSQL still unavailable after {Seconds} s ({Reason}): {Sends:N0} sends and {Others:N0} other requests refused so far")]
    public override partial void StillUnavailable(long seconds, string reason, long sends, long others);

    [LoggerMessage(102, LogLevel.Warning, "PostgreSQL back after {Seconds} s, {Sends:N0} sends and {Others:N0} other requests refused")]
    public override partial void Back(long seconds, long sends, long others);
}

internal sealed partial class RedisLines(ILogger log) : DependencyLines
{
    [LoggerMessage(110, LogLevel.Warning, "Redis unavailable ({Reason}): messages go on, those to other nodes up to 5 s late; presence and typing stand still")]
    public override partial void Unavailable(string reason);

    public override void StillUnavailable(long seconds, string reason, long sends, long others) => StillUnavailable(seconds, reason);

    public override void Back(long seconds, long sends, long others) => Back(seconds);

    [LoggerMessage(111, LogLevel.Warning, "Redis still unavailable after {Seconds} s ({Reason})")]
    private partial void StillUnavailable(long seconds, string reason);

    [LoggerMessage(112, LogLevel.Warning, "Redis back after {Seconds} s")]
    private partial void Back(long seconds);
}
