using System.Collections.Concurrent;
using Chat.Hosting;
using Chat.Telemetry;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// All that this node listens to. Redis may refuse a subscription (by its ACL), and the client library asks again only
/// after it has lost the connection. So what was refused is asked for every second until it is granted. Until then the
/// log and readiness say so, and the position check delivers.
/// </summary>
internal sealed partial class RedisSubscriptions(RedisConnection redis, DependencyStates dependencies, TimeProvider time, ILogger<RedisSubscriptions> log) : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<ChannelMessageQueue, RedisChannel> queues = new();
    private int refused;

    /// <summary>How many Redis refused at the last look.</summary>
    public int RefusedCount => Volatile.Read(ref refused);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("renewal of subscriptions", RenewAsync)];

    /// <summary>
    /// Listens to a channel, in order. Fire and forget, because that cannot fail: what a Redis that is away does not hear,
    /// the client library says again once it is back.
    /// </summary>
    public ChannelMessageQueue Subscribe(string name, Action<ChannelMessage> handle)
    {
        var channel = redis.Channel(name);
        var queue = redis.Subscriber.Subscribe(channel, CommandFlags.FireAndForget);
        queue.OnMessage(handle);
        queues[queue] = channel;
        return queue;
    }

    /// <summary>Listens no more.</summary>
    public void Unsubscribe(ChannelMessageQueue queue)
    {
        queues.TryRemove(queue, out _);
        queue.Unsubscribe(CommandFlags.FireAndForget);
    }

    /// <summary>Completes when Redis has done what was asked of it before: it answers in order, on the one connection that listens.</summary>
    public async Task FlushAsync() => await redis.Subscriber.PingAsync();

    private async Task RenewAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(RenewInterval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            await RecordRefusalsAsync();
            // A Redis that is away refuses nothing.
            if (!redis.IsConnected)
                continue;
            var (before, now) = (RefusedCount, await CountRefusedAsync());
            Volatile.Write(ref refused, now);
            if (now > 0 && before == 0)
                SubscriptionsRefused(now);
            if (now == 0 && before > 0)
                SubscriptionsRestored();
            if (now > 0)
                await redis.ResubscribeAsync();
        }
    }

    // Both connections: with one of them alone it is no more than half back.
    private async Task RecordRefusalsAsync()
    {
        if (!dependencies.Redis.IsUnavailable || !redis.IsConnected)
            return;
        try
        {
            await redis.Database.PingAsync().WaitAsync(RedisConnection.Timeout, Time);
            await FlushAsync().WaitAsync(RedisConnection.Timeout, Time);
            dependencies.Redis.Succeeded();
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            dependencies.Redis.Failed(RedisConnection.ReasonOf(failure));
        }
    }

    private async Task<int> CountRefusedAsync()
    {
        var unheard = FindInactive().ToHashSet();
        if (unheard.Count == 0)
            return 0;
        // What is not confirmed by then was refused.
        await FlushAsync();
        unheard.IntersectWith(FindInactive());
        return unheard.Count;
    }

    private IEnumerable<ChannelMessageQueue> FindInactive() => queues.Where(listening => !redis.IsSubscribed(listening.Value)).Select(listening => listening.Key);

    [LoggerMessage(113, LogLevel.Warning, "Redis refuses {Count} of this node's subscriptions; what other nodes tell comes late, from the database")]
    private partial void SubscriptionsRefused(int count);

    [LoggerMessage(114, LogLevel.Warning, "Redis has granted all of this node's subscriptions")]
    private partial void SubscriptionsRestored();
}
