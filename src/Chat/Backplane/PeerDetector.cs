using Chat.Hosting;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// Whether there is another node at all. Every node says its name once a second on a channel that all of them hear. A
/// node that has heard itself for a while, and nobody else, is alone and publishes nothing; as long as it does not hear
/// itself, it cannot know, and publishes. What a newcomer misses until it is heard, its position check finds.
/// </summary>
internal sealed class PeerDetector(RedisConnection redis, RedisSubscriptions channels, TimeProvider time, ILogger<PeerDetector> log) : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PeerTimeout = TimeSpan.FromSeconds(5);
    private long selfHeardSince;
    private long selfHeardAt;
    private long peerHeardAt;

    /// <summary>Whether what is published may be heard by somebody.</summary>
    public bool MayHavePeers => !IsFresh(ref selfHeardAt) || IsFresh(ref selfHeardSince) || IsFresh(ref peerHeardAt);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("call of the nodes", AnnounceAsync)];

    private async Task AnnounceAsync(CancellationToken stopping)
    {
        var channel = redis.Channel(redis.Keys.HeartbeatChannel);
        var own = (RedisValue)redis.NodeId.ToString();
        var calls = channels.Subscribe(redis.Keys.HeartbeatChannel, call => OnHeartbeat(isSelf: call.Message == own));
        try
        {
            using var timer = new PeriodicTimer(HeartbeatInterval, Time);
            do
                await redis.Database.PublishAsync(channel, own, CommandFlags.FireAndForget);
            while (await timer.WaitForNextTickAsync(stopping));
        }
        finally
        {
            channels.Unsubscribe(calls);
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
