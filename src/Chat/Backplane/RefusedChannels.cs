namespace Chat.Backplane;

/// <summary>
/// Redis may refuse to let a node listen (by its ACL), and the client library asks again only after it has lost the
/// connection. So what ought to be subscribed and is not is asked for every second until it is granted. Until then the
/// log and readiness say so, and the position check delivers.
/// </summary>
internal sealed partial class RefusedChannels(RedisConnection redis, RedisBackplane backplane, TimeProvider time, ILogger<RefusedChannels> log)
    : LoopService(time, log)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private int count;

    /// <summary>How many there were at the last look.</summary>
    public int Count => Volatile.Read(ref count);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("renewal of subscriptions", RenewAsync)];

    private async Task RenewAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Every, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            // A Redis that is away refuses nothing, and is asked by the client library when it is back.
            if (!redis.IsConnected)
                continue;
            var refused = await LookAsync();
            if (refused > 0 != Count > 0)
                Say(refused);
            Volatile.Write(ref count, refused);
            if (refused > 0)
                await redis.ResubscribeAsync();
        }
    }

    private async Task<int> LookAsync()
    {
        var unheard = backplane.Unheard();
        if (unheard.Count == 0)
            return 0;
        // Goes behind what is on its way on the same connection: what is not confirmed by then was refused.
        await redis.Subscriber.PingAsync();
        return backplane.Unheard().Intersect(unheard).Count();
    }

    private void Say(int refused)
    {
        if (refused > 0)
            Refused(refused);
        else
            Granted();
    }

    [LoggerMessage(LogLevel.Warning, "Redis refuses {Count} of this node's subscriptions; what other nodes tell comes late, from the database")]
    private partial void Refused(int count);

    [LoggerMessage(LogLevel.Information, "Redis has granted all of this node's subscriptions")]
    private partial void Granted();
}
