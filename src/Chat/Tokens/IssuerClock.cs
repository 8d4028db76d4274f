using System.Collections.Concurrent;

namespace Chat.Tokens;

/// <summary>
/// Estimates how far the issuer's clock is ahead of ours, from its tokens: none is presented before it was issued, so the
/// largest recent <c>iat - now</c> is a lower bound of the difference. Revocations need it, because they compare a time
/// of ours with the <c>iat</c> of the issuer's tokens.
/// </summary>
internal sealed class IssuerClock(TimeProvider time)
{
    /// <summary>
    /// The number of other users with fresh tokens needed to conclude that the issuer's clock is behind: a few tokens may all
    /// have been presented late, and a user who expects to be revoked could delay theirs on purpose.
    /// </summary>
    public const int MinPeople = 3;

    private const int MaxPeople = 1000;
    private static readonly TimeSpan Generation = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Resolution = TimeSpan.FromSeconds(1);
    private readonly Lock gate = new();
    private volatile ConcurrentDictionary<Guid, TimeSpan> current = new();
    private volatile ConcurrentDictionary<Guid, TimeSpan> previous = new();
    private long since = time.GetTimestamp();

    /// <summary>Records that a valid token was presented.</summary>
    public void Observe(Guid userId, DateTimeOffset issuedAt)
    {
        var ahead = issuedAt - time.GetUtcNow();
        // An older token was cached, and says nothing about the clock.
        if (ahead.Duration() > JwtSettings.ClockSkew)
            return;
        if (time.GetElapsedTime(Volatile.Read(ref since)) >= Generation)
            Rotate();
        var seen = current;
        if (seen.TryGetValue(userId, out var known) ? known >= ahead : seen.Count >= MaxPeople && ahead <= TimeSpan.Zero)
            return;
        seen.AddOrUpdate(userId, ahead, (_, other) => other > ahead ? other : ahead);
    }

    /// <summary>Returns how far the issuer's clock is ahead of ours; negative if behind. At most the allowed skew.</summary>
    /// <param name="revoked">The user whose tokens are no evidence that it is behind.</param>
    public TimeSpan Ahead(Guid revoked)
    {
        var all = current.Concat(previous).ToArray();
        var most = all.Select(seen => seen.Value).DefaultIfEmpty().Max();
        // Rounded up to whole seconds, the resolution of most issuers.
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
