using System.Collections.Concurrent;
using Chat.Hosting;
using Chat.Telemetry;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// Manages this node's subscriptions. Redis may refuse a subscription (by its ACL), and the client library retries only
/// after a reconnect; so refused subscriptions are retried every second until granted. Until then the log and readiness
/// report them, and the position check delivers.
/// </summary>
internal sealed partial class RedisSubscriptions(RedisConnection redis, DependencyStates dependencies, TimeProvider time,
    ILogger<RedisSubscriptions> log) : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<ChannelMessageQueue, RedisChannel> queues = new();
    private int refused;

    /// <summary>The number of subscriptions refused by Redis at the last check.</summary>
    public int RefusedCount => Volatile.Read(ref refused);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("subscription renewal", RenewAsync)];

    /// <summary>
    /// Subscribes to a channel; messages are handled in order. Fire and forget never fails: if Redis is unavailable, the client
    /// library subscribes after the reconnect.
    /// </summary>
    public ChannelMessageQueue Subscribe(string name, Action<ChannelMessage> handle)
    {
        var channel = redis.Channel(name);
        var queue = redis.Subscriber.Subscribe(channel, CommandFlags.FireAndForget);
        queue.OnMessage(handle);
        queues[queue] = channel;
        return queue;
    }

    /// <summary>Unsubscribes.</summary>
    public void Unsubscribe(ChannelMessageQueue queue)
    {
        queues.TryRemove(queue, out _);
        queue.Unsubscribe(CommandFlags.FireAndForget);
    }

    /// <summary>Completes when Redis has processed all earlier subscription commands; it answers in order, on one connection.</summary>
    public async Task FlushAsync() => await redis.Subscriber.PingAsync();

    private async Task RenewAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(RenewInterval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            await ProbeAsync();
            // An unavailable Redis refuses nothing.
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

    // Probes both connections, for commands and for subscriptions: Redis has recovered only when both work.
    private async Task ProbeAsync()
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
        var inactive = FindInactive().ToHashSet();
        if (inactive.Count == 0)
            return 0;
        // Subscriptions not confirmed by then were refused.
        await FlushAsync();
        inactive.IntersectWith(FindInactive());
        return inactive.Count;
    }

    private IEnumerable<ChannelMessageQueue> FindInactive() =>
        queues.Where(subscription => !redis.IsSubscribed(subscription.Value)).Select(subscription => subscription.Key);

    [LoggerMessage(113, LogLevel.Warning,
        "Redis refuses {Count} of this node's subscriptions; events of other nodes are delayed until the position check")]
    private partial void SubscriptionsRefused(int count);

    [LoggerMessage(114, LogLevel.Warning, "Redis has granted all of this node's subscriptions")]
    private partial void SubscriptionsRestored();
}
