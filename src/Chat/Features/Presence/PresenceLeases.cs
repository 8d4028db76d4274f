using Chat.Backplane;
using StackExchange.Redis;

namespace Chat.Features;

/// <summary>What a change to somebody's leases came to.</summary>
internal enum Transition
{
    /// <summary>They were there before and still are, or were away and still are.</summary>
    None,

    /// <summary>They were away and are there now.</summary>
    CameOnline,

    /// <summary>They were there and are away now.</summary>
    WentOffline,
}

/// <summary>
/// The leases in Redis. <c>online:{userId}</c> is a sorted set of the user's connections by the end of their lease,
/// changed only in transactions on this one key (which a cluster allows), so that of all nodes exactly one sees a
/// person come or go. <c>leases</c> is a sorted set of all users who are online: where somebody's latest lease runs
/// out because their node died, one node claims them from it and tells.
/// </summary>
/// <remarks>
/// Times are Redis' own, by an offset that every refresh measures: nodes whose clocks differ agree all the same. A
/// lease is shorter than the key's time to live, so that a run-out lease is still there to be found by the sweep.
/// The node alone renews, far more often than a lease needs; a client's ping does not, since it would say nothing that
/// the node does not know: a connection without a sign of life is closed before its lease could run out.
/// </remarks>
internal sealed class PresenceLeases(RedisConnection redis, TimeProvider time)
{
    /// <summary>How often a node renews the leases of its connections.</summary>
    public static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(12);

    /// <summary>How long after an interruption every node has Redis again and has put its leases back.</summary>
    public static readonly TimeSpan SettlingTime = TimeSpan.FromSeconds(5);

    private const int MaxSweptAtOnce = 200;
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan KeyLife = TimeSpan.FromSeconds(60);
    private long offsetMilliseconds;
    private long interruptedAt;

    /// <summary>Redis' clock.</summary>
    public DateTimeOffset RedisTime => DateTimeOffset.FromUnixTimeMilliseconds((long)Now());

    /// <summary>When a lease that ends then was last renewed.</summary>
    public static DateTimeOffset RenewedAt(double end) => DateTimeOffset.FromUnixTimeMilliseconds((long)end) - Length;

    /// <summary>
    /// Whether Redis was away a moment ago. Until every node has put back what it holds, a lease that is not there says
    /// nothing.
    /// </summary>
    public bool IsSettling => Volatile.Read(ref interruptedAt) is not 0 and var since && time.GetElapsedTime(since) < SettlingTime;

    /// <summary>Redis was away, or has just come back.</summary>
    public void RecordInterruption() => Volatile.Write(ref interruptedAt, time.GetTimestamp());

    /// <summary>Measures how far Redis' clock is from ours.</summary>
    public async Task SynchronizeAsync()
    {
        var answer = (RedisResult[])(await redis.Database.ExecuteAsync("TIME"))!;
        var redisNow = ((long)answer[0] * 1000) + ((long)answer[1] / 1000);
        Volatile.Write(ref offsetMilliseconds, redisNow - time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    /// <summary>A connection has come: takes its lease.</summary>
    public async Task<Transition> AddAsync(Guid userId, Guid connectionId)
    {
        var now = Now();
        var end = now + Length.TotalMilliseconds;
        var key = redis.Keys.Online(userId);
        var change = redis.Database.CreateTransaction();
        var expired = change.SortedSetRemoveRangeByScoreAsync(key, double.NegativeInfinity, now);
        var added = change.SortedSetAddAsync(key, connectionId.ToString(), end);
        var left = change.SortedSetLengthAsync(key);
        _ = change.KeyExpireAsync(key, KeyLife);
        await change.ExecuteAsync();
        await redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), end);
        // Leases that ran out unnoticed: nobody was told that the user had gone, so nobody is told that they are back.
        return await added && await left == 1 && await expired == 0 ? Transition.CameOnline : Transition.None;
    }

    /// <summary>A connection has gone: gives its lease back.</summary>
    public async Task<Transition> RemoveAsync(Guid userId, Guid connectionId)
    {
        var key = redis.Keys.Online(userId);
        var change = redis.Database.CreateTransaction();
        _ = change.SortedSetRemoveRangeByScoreAsync(key, double.NegativeInfinity, Now());
        var removed = change.SortedSetRemoveAsync(key, connectionId.ToString());
        var left = change.SortedSetLengthAsync(key);
        await change.ExecuteAsync();
        if (await left > 0)
            return Transition.None;
        if (!await removed)
        {
            // Redis had lost it. It may have lost another node's for the same person, too: the sweep looks once those
            // are back, and tells.
            await redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), Now() + SettlingTime.TotalMilliseconds, When.NotExists);
            return Transition.None;
        }

        await redis.Database.SortedSetRemoveAsync(redis.Keys.Leases, userId.ToString());
        return Transition.WentOffline;
    }

    /// <summary>
    /// Renews the leases of this node's connections; puts back what Redis has lost. Has sent everything when it
    /// returns, so that callers settle the order of renewing, taking and giving back.
    /// </summary>
    /// <returns>Whose leases had to be put back.</returns>
    public async Task<IReadOnlyList<Guid>> RenewAsync(IReadOnlyCollection<(Guid UserId, Guid ConnectionId)> connections)
    {
        var end = Now() + Length.TotalMilliseconds;
        var added = new List<(Guid UserId, Task<bool> WasMissing)>(connections.Count);
        var sent = new List<Task>(connections.Count * 3);
        foreach (var (userId, connectionId) in connections)
        {
            var key = redis.Keys.Online(userId);
            added.Add((userId, redis.Database.SortedSetAddAsync(key, connectionId.ToString(), end)));
            sent.Add(redis.Database.KeyExpireAsync(key, KeyLife));
            sent.Add(redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), end));
        }

        await Task.WhenAll([.. sent, .. added.Select(own => own.WasMissing)]);
        return [.. added.Where(own => own.WasMissing.Result).Select(own => own.UserId).Distinct()];
    }

    /// <summary>
    /// Claims the users whose leases ran out, on whichever node they were. No two nodes get the same one. All that there
    /// are: a node that died may have had ten thousand, and each of them is late already.
    /// </summary>
    /// <returns>Those who are offline now, with the end of their last lease.</returns>
    public async Task<IReadOnlyList<(Guid UserId, double End)>> SweepAsync()
    {
        var now = Now();
        var gone = new List<(Guid UserId, double End)>();
        SortedSetEntry[] late;
        do
        {
            late = await redis.Database.SortedSetRangeByScoreWithScoresAsync(redis.Keys.Leases, stop: now, take: MaxSweptAtOnce);
            var claims = await Task.WhenAll(late.Select(async entry => (entry, IsGone: await ClaimAsync(entry.Element, now))));
            gone.AddRange(claims.Where(claim => claim.IsGone).Select(claim => (Guid.Parse((string)claim.entry.Element!), claim.entry.Score)));
        }
        while (late.Length == MaxSweptAtOnce);
        return gone;
    }

    /// <summary>Which of these users hold a lease.</summary>
    public async Task<IReadOnlySet<Guid>> OnlineAsync(IReadOnlyCollection<Guid> users)
    {
        var now = Now();
        var counts = users.Select(user => (user, Count: redis.Database.SortedSetLengthAsync(redis.Keys.Online(user), now, double.PositiveInfinity))).ToArray();
        await Task.WhenAll(counts.Select(asked => asked.Count));
        return counts.Where(asked => asked.Count.Result > 0).Select(asked => asked.user).ToHashSet();
    }

    // Whether this node is the one that took the user off the list, and no lease of theirs is left.
    private async Task<bool> ClaimAsync(RedisValue user, double now)
    {
        if (!await redis.Database.SortedSetRemoveAsync(redis.Keys.Leases, user))
            return false;
        var key = redis.Keys.Online(Guid.Parse((string)user!));
        var change = redis.Database.CreateTransaction();
        _ = change.SortedSetRemoveRangeByScoreAsync(key, double.NegativeInfinity, now);
        var left = change.SortedSetLengthAsync(key);
        await change.ExecuteAsync();
        return await left == 0;
    }

    private double Now() => time.GetUtcNow().ToUnixTimeMilliseconds() + Volatile.Read(ref offsetMilliseconds);
}
