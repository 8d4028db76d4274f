using System.Collections.Concurrent;
using System.Net;

namespace Chat.RateLimiting;

/// <summary>
/// Limits the rate of an action per user, or per another key, on this node. A bucket exists only while it is not full: the
/// heartbeat sweeps full ones, so that idle keys cost nothing.
/// </summary>
internal abstract class KeyedRateLimiter<TKey>(int permits, TimeSpan period, TimeProvider time)
    where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, TokenBucket> users = new();

    /// <summary>The number of keys that were active in the last seconds.</summary>
    public int Count => users.Count;

    /// <summary>Takes a permit.</summary>
    /// <returns>Zero, or the delay until the next permit.</returns>
    public TimeSpan Take(TKey key)
    {
        // If the sweep removes it in between, it was full: at most one extra permit is granted.
        var bucket = users.GetOrAdd(key, static (_, limiter) => limiter.New(), this);
        lock (bucket)
            return bucket.Take();
    }

    /// <summary>Removes the buckets of idle keys.</summary>
    public void Sweep()
    {
        foreach (var entry in users)
        {
            lock (entry.Value)
            {
                if (entry.Value.IsFull)
                    users.TryRemove(entry);
            }
        }
    }

    private TokenBucket New() => new(permits, period, time);
}

/// <summary>Limits messages sent, over all connections and REST.</summary>
internal sealed class SendRateLimiter(Limits limits, TimeProvider time)
    : KeyedRateLimiter<Guid>(limits.MessagesPerSecondPerUser, TimeSpan.FromSeconds(1), time);

/// <summary>Limits REST requests.</summary>
internal sealed class RequestRateLimiter(Limits limits, TimeProvider time)
    : KeyedRateLimiter<Guid>(limits.RequestsPerSecond, TimeSpan.FromSeconds(1), time);

/// <summary>Limits conversations opened, and attempts that fail.</summary>
internal sealed class OpenConversationRateLimiter(Limits limits, TimeProvider time)
    : KeyedRateLimiter<Guid>(limits.ConversationsPerMinute, TimeSpan.FromMinutes(1), time);

/// <summary>Limits handshakes by address, separately with and without a token.</summary>
internal sealed class HandshakeRateLimiter(Limits limits, TimeProvider time)
    : KeyedRateLimiter<(IPAddress Address, bool HasToken)>(limits.ShareOf(limits.HandshakesPerSecond), TimeSpan.FromSeconds(1), time);
