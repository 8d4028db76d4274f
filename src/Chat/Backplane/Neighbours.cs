using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// Whether there is another node at all. Every node says its name once a second on a channel that all of them hear. A
/// node that has heard itself for a while, and nobody else, is alone and publishes nothing; as long as it does not hear
/// itself, it cannot know, and publishes. What a newcomer misses until it is heard, its position check finds.
/// </summary>
internal sealed class Neighbours(RedisConnection redis, RedisSubscriptions channels, TimeProvider time, ILogger<Neighbours> log) : LoopService(time, log)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(5);
    private long hearsSelfSince;
    private long heardSelfAt;
    private long heardOtherAt;

    /// <summary>Whether what is published may be heard by somebody.</summary>
    public bool MayBeThere => !IsFresh(ref heardSelfAt) || IsFresh(ref hearsSelfSince) || IsFresh(ref heardOtherAt);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("call of the nodes", CallAsync)];

    private async Task CallAsync(CancellationToken stopping)
    {
        var channel = redis.Channel(redis.Names.Nodes);
        var own = (RedisValue)redis.NodeId.ToString();
        var calls = channels.Listen(redis.Names.Nodes, call => Heard(isSelf: call.Message == own));
        try
        {
            using var timer = new PeriodicTimer(Every, Time);
            do
                await redis.Database.PublishAsync(channel, own, CommandFlags.FireAndForget);
            while (await timer.WaitForNextTickAsync(stopping));
        }
        finally
        {
            channels.End(calls);
        }
    }

    private void Heard(bool isSelf)
    {
        var now = Time.GetTimestamp();
        if (isSelf && !IsFresh(ref heardSelfAt))
            Volatile.Write(ref hearsSelfSince, now);
        Volatile.Write(ref isSelf ? ref heardSelfAt : ref heardOtherAt, now);
    }

    private bool IsFresh(ref long at) => Volatile.Read(ref at) is not 0 and var heard && Time.GetElapsedTime(heard) < Memory;
}
