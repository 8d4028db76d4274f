namespace Chat.Socket;

/// <summary>
/// So many permits a second, and a burst of twice as many for somebody who was quiet. Not safe for several threads:
/// a connection's events come one at a time.
/// </summary>
internal sealed class TokenBucket(int perSecond, TimeProvider time)
{
    private double permits = perSecond * 2.0;
    private long filledAt = time.GetTimestamp();

    /// <summary>Whether nothing is left of what was taken: then this bucket is as good as a new one.</summary>
    public bool IsFull => PermitsAt(time.GetTimestamp()) >= perSecond * 2.0;

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

    private double PermitsAt(long now) => Math.Min(perSecond * 2.0, permits + (time.GetElapsedTime(filledAt, now).TotalSeconds * perSecond));
}
