using System.Collections.Concurrent;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// All that this node listens to. Redis may refuse a subscription (by its ACL), and the client library asks again only
/// after it has lost the connection. So what was refused is asked for every second until it is granted. Until then the
/// log and readiness say so, and the position check delivers.
/// </summary>
internal sealed partial class RedisSubscriptions(RedisConnection redis, Dependencies dependencies, TimeProvider time, ILogger<RedisSubscriptions> log) : LoopService(time, log)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<ChannelMessageQueue, RedisChannel> queues = new();
    private int refused;

    /// <summary>How many Redis refused at the last look.</summary>
    public int Refused => Volatile.Read(ref refused);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("renewal of subscriptions", RenewAsync)];

    /// <summary>
    /// Listens to a channel, in order. Fire and forget, because that cannot fail: what a Redis that is away does not hear,
    /// the client library says again once it is back.
    /// </summary>
    public ChannelMessageQueue Listen(string name, Action<ChannelMessage> handle)
    {
        var channel = redis.Channel(name);
        var queue = redis.Subscriber.Subscribe(channel, CommandFlags.FireAndForget);
        queue.OnMessage(handle);
        queues[queue] = channel;
        return queue;
    }

    /// <summary>Listens no more.</summary>
    public void End(ChannelMessageQueue queue)
    {
        queues.TryRemove(queue, out _);
        queue.Unsubscribe(CommandFlags.FireAndForget);
    }

    /// <summary>Completes when Redis has done what was asked of it before: it answers in order, on the one connection that listens.</summary>
    public async Task SettleAsync() => await redis.Subscriber.PingAsync();

    private async Task RenewAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Every, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            await NoteAsync();
            // A Redis that is away refuses nothing.
            if (!redis.IsConnected)
                continue;
            var (before, now) = (Refused, await CountRefusedAsync());
            Volatile.Write(ref refused, now);
            if (now > 0 && before == 0)
                Refusing(now);
            if (now == 0 && before > 0)
                Granting();
            if (now > 0)
                await redis.ResubscribeAsync();
        }
    }

    // Both connections: with one of them alone it is no more than half back.
    private async Task NoteAsync()
    {
        if (!dependencies.Redis.IsUnavailable || !redis.IsConnected)
            return;
        try
        {
            await redis.Database.PingAsync().WaitAsync(RedisConnection.Patience, Time);
            await SettleAsync().WaitAsync(RedisConnection.Patience, Time);
            dependencies.Redis.Succeeded();
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            dependencies.Redis.Failed(RedisConnection.ReasonOf(failure));
        }
    }

    private async Task<int> CountRefusedAsync()
    {
        var unheard = Unheard().ToHashSet();
        if (unheard.Count == 0)
            return 0;
        // What is not confirmed by then was refused.
        await SettleAsync();
        unheard.IntersectWith(Unheard());
        return unheard.Count;
    }

    private IEnumerable<ChannelMessageQueue> Unheard() => queues.Where(listening => !redis.Hears(listening.Value)).Select(listening => listening.Key);

    [LoggerMessage(113, LogLevel.Warning, "Redis refuses {Count} of this node's subscriptions; what other nodes tell comes late, from the database")]
    private partial void Refusing(int count);

    [LoggerMessage(114, LogLevel.Warning, "Redis has granted all of this node's subscriptions")]
    private partial void Granting();
}
