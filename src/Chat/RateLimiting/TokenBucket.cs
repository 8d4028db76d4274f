namespace Chat.RateLimiting;

/// <summary>
/// A token bucket with a burst of twice the permits of a period. Not thread-safe: a connection's events come one at a time,
/// shared buckets are locked.
/// </summary>
internal sealed class TokenBucket(int permitsPerPeriod, TimeSpan period, TimeProvider time)
{
    private readonly double perSecond = permitsPerPeriod / period.TotalSeconds;
    private double permits = permitsPerPeriod * 2.0;
    private long filledAt = time.GetTimestamp();

    /// <summary>Creates a bucket with a period of one second.</summary>
    public TokenBucket(int perSecond, TimeProvider time)
        : this(perSecond, TimeSpan.FromSeconds(1), time)
    {
    }

    /// <summary>Whether the bucket is full, and so equivalent to a new one.</summary>
    public bool IsFull => PermitsAt(time.GetTimestamp()) >= permitsPerPeriod * 2.0;

    /// <summary>Zero, or the delay until the next permit.</summary>
    public TimeSpan Wait => PermitsAt(time.GetTimestamp()) is var available && available < 1
        ? TimeSpan.FromSeconds((1 - available) / perSecond) : TimeSpan.Zero;

    /// <summary>Takes a permit.</summary>
    /// <returns>Zero, or the delay until the next permit.</returns>
    public TimeSpan Take()
    {
        var now = time.GetTimestamp();
        permits = PermitsAt(now);
        filledAt = now;
        if (permits < 1)
            return TimeSpan.FromSeconds((1 - permits) / perSecond);
        permits--;
        return TimeSpan.Zero;
    }

    private double PermitsAt(long now) =>
        Math.Min(permitsPerPeriod * 2.0, permits + (time.GetElapsedTime(filledAt, now).TotalSeconds * perSecond));
}
