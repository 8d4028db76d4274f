using System.Collections.Concurrent;
using System.Net;

namespace Chat.RateLimiting;

/// <summary>
/// How fast each user, or whoever the key says, may do something on this node. A bucket is there only while
/// something is missing in it: the heartbeat takes the full ones away, so that whoever is quiet costs nothing.
/// </summary>
internal abstract class KeyedRateLimiter<TKey>(int permits, TimeSpan period, TimeProvider time)
    where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, TokenBucket> users = new();

    /// <summary>How many have done it in the last seconds.</summary>
    public int Count => users.Count;

    /// <summary>Takes a permit.</summary>
    /// <returns>Zero, or how long to wait for the next one.</returns>
    public TimeSpan Take(TKey key)
    {
        // Taken away in between, it was full, and what is taken from it now is a single permit too many.
        var bucket = users.GetOrAdd(key, static (_, rates) => rates.New(), this);
        lock (bucket)
            return bucket.Take();
    }

    /// <summary>Forgets who has been quiet.</summary>
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

/// <summary>Sends, over all connections and over REST.</summary>
internal sealed class SendRateLimiter(Limits limits, TimeProvider time) : KeyedRateLimiter<Guid>(limits.MessagesPerSecondPerUser, TimeSpan.FromSeconds(1), time);

/// <summary>Requests over REST.</summary>
internal sealed class RequestRateLimiter(Limits limits, TimeProvider time) : KeyedRateLimiter<Guid>(limits.RequestsPerSecond, TimeSpan.FromSeconds(1), time);

/// <summary>Conversations that are opened, or asked for in vain.</summary>
internal sealed class OpenConversationRateLimiter(Limits limits, TimeProvider time) : KeyedRateLimiter<Guid>(limits.ConversationsPerMinute, TimeSpan.FromMinutes(1), time);

/// <summary>Handshakes of an address, those with a token and those without each for themselves.</summary>
internal sealed class HandshakeRateLimiter(Limits limits, TimeProvider time)
    : KeyedRateLimiter<(IPAddress Address, bool HasToken)>(limits.ShareOf(limits.HandshakesPerSecond), TimeSpan.FromSeconds(1), time);
