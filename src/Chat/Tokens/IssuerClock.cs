using System.Collections.Concurrent;

namespace Chat.Tokens;

/// <summary>
/// How far the issuer's clock is ahead of ours, as its tokens tell: none is shown before it was made, so the largest
/// <c>iat - now</c> of late is that difference, or less. What a revocation must know, which speaks of a moment of ours and
/// is compared with <c>iat</c>s of the issuer's.
/// </summary>
internal sealed class IssuerClock(TimeProvider time)
{
    /// <summary>
    /// So many other people must have shown fresh tokens before the issuer counts as behind: of a few, all may have come
    /// late, and somebody who expects to be revoked could hold theirs back on purpose.
    /// </summary>
    public const int MinPeople = 3;

    private const int MaxPeople = 1000;
    private static readonly TimeSpan Generation = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Resolution = TimeSpan.FromSeconds(1);
    private readonly Lock gate = new();
    private volatile ConcurrentDictionary<Guid, TimeSpan> current = new();
    private volatile ConcurrentDictionary<Guid, TimeSpan> previous = new();
    private long since = time.GetTimestamp();

    /// <summary>A valid token of somebody's was shown.</summary>
    public void Observe(Guid userId, DateTimeOffset issuedAt)
    {
        var ahead = issuedAt - time.GetUtcNow();
        // An older token says nothing about the clock: it has been kept.
        if (ahead.Duration() > JwtSettings.ClockSkew)
            return;
        if (time.GetElapsedTime(Volatile.Read(ref since)) >= Generation)
            Rotate();
        var seen = current;
        if (seen.TryGetValue(userId, out var known) ? known >= ahead : seen.Count >= MaxPeople && ahead <= TimeSpan.Zero)
            return;
        seen.AddOrUpdate(userId, ahead, (_, other) => other > ahead ? other : ahead);
    }

    /// <summary>How far the issuer's clock is ahead of ours; negative if it is behind. Never more than the skew.</summary>
    /// <param name="revoked">Whose tokens do not count as a proof that it is behind.</param>
    public TimeSpan Ahead(Guid revoked)
    {
        var all = current.Concat(previous).ToArray();
        var most = all.Select(seen => seen.Value).DefaultIfEmpty().Max();
        // In whole seconds, as most issuers count.
        if (most > TimeSpan.Zero)
            return Resolution * Math.Ceiling(most / Resolution);
        var others = all.Where(seen => seen.Key != revoked).ToArray();
        if (others.DistinctBy(seen => seen.Key).Count() < MinPeople)
            return TimeSpan.Zero;
        var behind = Resolution * (Math.Ceiling(others.Max(seen => seen.Value) / Resolution) + 1);
        return behind < TimeSpan.Zero ? behind : TimeSpan.Zero;
    }

    private void Rotate()
    {
        lock (gate)
        {
            var elapsed = time.GetElapsedTime(since);
            if (elapsed < Generation)
                return;
            previous = elapsed < Generation * 2 ? current : new();
            current = new();
            since = time.GetTimestamp();
        }
    }
}
