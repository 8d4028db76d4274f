using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// How fast each user may send, over all their connections to this node and over REST. A bucket is there only while
/// something is missing in it: the heartbeat takes the full ones away, so that whoever is quiet costs nothing.
/// </summary>
internal sealed class SendRates(Limits limits, TimeProvider time)
{
    private readonly ConcurrentDictionary<Guid, TokenBucket> users = new();

    /// <summary>How many users have sent something in the last seconds.</summary>
    public int Count => users.Count;

    /// <summary>Takes a send's permit.</summary>
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

    private TokenBucket New() => new(limits.MessagesPerSecondPerUser, time);
}
