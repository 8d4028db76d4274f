using Chat.Hosting;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// Detects whether other nodes are alive, by a heartbeat on a shared channel each second. A node that has received its own
/// heartbeats for a while, and no others, is alone and publishes nothing; while it does not receive its own, it cannot
/// know, and publishes. What a new node misses until it is detected, its position check recovers.
/// </summary>
internal sealed class PeerDetector(RedisConnection redis, RedisSubscriptions channels, TimeProvider time, ILogger<PeerDetector> log)
    : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PeerTimeout = TimeSpan.FromSeconds(5);
    private long selfHeardSince;
    private long selfHeardAt;
    private long peerHeardAt;

    /// <summary>Whether other nodes may be listening.</summary>
    public bool MayHavePeers => !IsFresh(ref selfHeardAt) || IsFresh(ref selfHeardSince) || IsFresh(ref peerHeardAt);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("node heartbeat", AnnounceAsync)];

    private async Task AnnounceAsync(CancellationToken stopping)
    {
        var channel = redis.Channel(redis.Keys.HeartbeatChannel);
        var self = (RedisValue)redis.NodeId.ToString();
        var subscription = channels.Subscribe(redis.Keys.HeartbeatChannel, received => OnHeartbeat(isSelf: received.Message == self));
        try
        {
            using var timer = new PeriodicTimer(HeartbeatInterval, Time);
            do
                await redis.Database.PublishAsync(channel, self, CommandFlags.FireAndForget);
            while (await timer.WaitForNextTickAsync(stopping));
        }
        finally
        {
            channels.Unsubscribe(subscription);
        }
    }

    private void OnHeartbeat(bool isSelf)
    {
        var now = Time.GetTimestamp();
        if (isSelf && !IsFresh(ref selfHeardAt))
            Volatile.Write(ref selfHeardSince, now);
        Volatile.Write(ref isSelf ? ref selfHeardAt : ref peerHeardAt, now);
    }

    private bool IsFresh(ref long at) => Volatile.Read(ref at) is not 0 and var heard && Time.GetElapsedTime(heard) < PeerTimeout;
}
