using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// How fast each user may do something on this node. A bucket is there only while
/// something is missing in it: the heartbeat takes the full ones away, so that whoever is quiet costs nothing.
/// </summary>
internal abstract class UserRates(int perSecond, TimeProvider time)
{
    private readonly ConcurrentDictionary<Guid, TokenBucket> users = new();

    /// <summary>How many users have done it in the last seconds.</summary>
    public int Count => users.Count;

    /// <summary>Takes a permit.</summary>
    /// <returns>Zero, or how long the user is to wait for the next one.</returns>
    public TimeSpan Take(Guid userId)
    {
        // Taken away in between, it was full, and what is taken from it now is a single permit too many.
        var bucket = users.GetOrAdd(userId, static (_, rates) => rates.New(), this);
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

    private TokenBucket New() => new(perSecond, time);
}

/// <summary>Sends, over all connections and over REST.</summary>
internal sealed class SendRates(Limits limits, TimeProvider time) : UserRates(limits.MessagesPerSecondPerUser, time);

/// <summary>Requests over REST.</summary>
internal sealed class RequestRates(Limits limits, TimeProvider time) : UserRates(limits.RequestsPerSecond, time);
