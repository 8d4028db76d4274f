namespace Chat.RateLimiting;

/// <summary>
/// So many permits in a period, and a burst of twice as many for somebody who was quiet. Not safe for several threads:
/// a connection's events come one at a time.
/// </summary>
internal sealed class TokenBucket(int permitsPerPeriod, TimeSpan period, TimeProvider time)
{
    private readonly double perSecond = permitsPerPeriod / period.TotalSeconds;
    private double permits = permitsPerPeriod * 2.0;
    private long filledAt = time.GetTimestamp();

    /// <summary>So many permits a second.</summary>
    public TokenBucket(int perSecond, TimeProvider time)
        : this(perSecond, TimeSpan.FromSeconds(1), time)
    {
    }

    /// <summary>Whether nothing is left of what was taken: then this bucket is as good as a new one.</summary>
    public bool IsFull => PermitsAt(time.GetTimestamp()) >= permitsPerPeriod * 2.0;

    /// <summary>Zero, or how long to wait for the next permit.</summary>
    public TimeSpan Wait => PermitsAt(time.GetTimestamp()) is var left && left < 1 ? TimeSpan.FromSeconds((1 - left) / perSecond) : TimeSpan.Zero;

    /// <summary>Takes a permit.</summary>
    /// <returns>Zero, or how long to wait for the next one.</returns>
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

    private double PermitsAt(long now) => Math.Min(permitsPerPeriod * 2.0, permits + (time.GetElapsedTime(filledAt, now).TotalSeconds * perSecond));
}
