using Chat.Backplane;
using StackExchange.Redis;

namespace Chat.Features;

/// <summary>The effect of a lease change on a user's presence.</summary>
internal enum Transition
{
    /// <summary>No change.</summary>
    None,

    /// <summary>The user was offline and is online now.</summary>
    CameOnline,

    /// <summary>The user was online and is offline now.</summary>
    WentOffline,
}

/// <summary>
/// Stores presence leases in Redis. <c>online:{userId}</c> is a sorted set of a user's connections by lease expiry, changed only
/// in single-key transactions (which a cluster allows), so that exactly one node observes each transition. <c>leases</c> is a
/// sorted set of all online users by their latest expiry: when a crashed node's leases expire, one node claims the user
/// from it and publishes the transition.
/// </summary>
/// <remarks>
/// Times are Redis' own, by an offset measured with every renewal, so that nodes with different clocks agree. A lease expires
/// before its key does, so that the sweep still finds it. Only the node renews, well within the lease; a client's ping does not
/// need to, because a connection without activity is closed before its lease could expire.
/// </remarks>
internal sealed class PresenceLeases(RedisConnection redis, TimeProvider time)
{
    /// <summary>How often a node renews the leases of its connections.</summary>
    public static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(12);

    /// <summary>How long after an outage every node has reconnected to Redis and restored its leases.</summary>
    public static readonly TimeSpan SettlingTime = TimeSpan.FromSeconds(5);

    private const int MaxSweptAtOnce = 200;
    private static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan KeyExpiry = TimeSpan.FromSeconds(60);
    private long offsetMilliseconds;
    private long interruptedAt;

    /// <summary>The current time of Redis.</summary>
    public DateTimeOffset RedisTime => DateTimeOffset.FromUnixTimeMilliseconds((long)Now());

    /// <summary>Returns when a lease with this expiry was last renewed.</summary>
    public static DateTimeOffset RenewedAt(double expiry) => DateTimeOffset.FromUnixTimeMilliseconds((long)expiry) - LeaseDuration;

    /// <summary>
    /// Whether Redis was unavailable within <see cref="SettlingTime"/>. Until every node has restored its leases, a missing
    /// lease means nothing.
    /// </summary>
    public bool IsSettling => Volatile.Read(ref interruptedAt) is not 0 and var since && time.GetElapsedTime(since) < SettlingTime;

    /// <summary>Records that Redis is unavailable or has just reconnected.</summary>
    public void RecordInterruption() => Volatile.Write(ref interruptedAt, time.GetTimestamp());

    /// <summary>Measures the offset between Redis' clock and the local one.</summary>
    public async Task SynchronizeAsync()
    {
        var answer = (RedisResult[])(await redis.Database.ExecuteAsync("TIME"))!;
        var redisNow = ((long)answer[0] * 1000) + ((long)answer[1] / 1000);
        Volatile.Write(ref offsetMilliseconds, redisNow - time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    /// <summary>Acquires the lease of a new connection.</summary>
    public async Task<Transition> AddAsync(Guid userId, Guid connectionId)
    {
        var now = Now();
        var expiry = now + LeaseDuration.TotalMilliseconds;
        var key = redis.Keys.Online(userId);
        var change = redis.Database.CreateTransaction();
        var expired = change.SortedSetRemoveRangeByScoreAsync(key, double.NegativeInfinity, now);
        var added = change.SortedSetAddAsync(key, connectionId.ToString(), expiry);
        var left = change.SortedSetLengthAsync(key);
        _ = change.KeyExpireAsync(key, KeyExpiry);
        await change.ExecuteAsync();
        await redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), expiry);
        // Expired leases that no sweep has claimed: the offline transition was never published, so the online one is not either.
        return await added && await left == 1 && await expired == 0 ? Transition.CameOnline : Transition.None;
    }

    /// <summary>Releases the lease of a closed connection.</summary>
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
            // Redis had lost the lease, and may have lost those that other nodes hold for the user: the sweep decides after
            // they have been restored.
            await redis.Database.SortedSetAddAsync(
                redis.Keys.Leases, userId.ToString(), Now() + SettlingTime.TotalMilliseconds, When.NotExists);
            return Transition.None;
        }

        await redis.Database.SortedSetRemoveAsync(redis.Keys.Leases, userId.ToString());
        return Transition.WentOffline;
    }

    /// <summary>
    /// Renews the leases of this node's connections and restores those that Redis has lost. All commands are sent before the
    /// method returns its task, so the caller can order renewals with acquisitions and releases.
    /// </summary>
    /// <returns>The users whose leases had to be restored.</returns>
    public async Task<IReadOnlyList<Guid>> RenewAsync(IReadOnlyCollection<(Guid UserId, Guid ConnectionId)> connections)
    {
        var expiry = Now() + LeaseDuration.TotalMilliseconds;
        var added = new List<(Guid UserId, Task<bool> WasMissing)>(connections.Count);
        var sent = new List<Task>(connections.Count * 3);
        foreach (var (userId, connectionId) in connections)
        {
            var key = redis.Keys.Online(userId);
            added.Add((userId, redis.Database.SortedSetAddAsync(key, connectionId.ToString(), expiry)));
            sent.Add(redis.Database.KeyExpireAsync(key, KeyExpiry));
            sent.Add(redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), expiry));
        }

        await Task.WhenAll([.. sent, .. added.Select(renewal => renewal.WasMissing)]);
        return [.. added.Where(renewal => renewal.WasMissing.Result).Select(renewal => renewal.UserId).Distinct()];
    }

    /// <summary>
    /// Claims all users whose leases have expired, on whichever node they were; no two nodes claim the same user. Not limited
    /// to one batch: a crashed node may have had ten thousand connections, and all of their transitions are overdue.
    /// </summary>
    /// <returns>The users who are offline now, with the expiry of their last lease.</returns>
    public async Task<IReadOnlyList<(Guid UserId, double Expiry)>> SweepAsync()
    {
        var now = Now();
        var offline = new List<(Guid UserId, double Expiry)>();
        SortedSetEntry[] expired;
        do
        {
            expired = await redis.Database.SortedSetRangeByScoreWithScoresAsync(redis.Keys.Leases, stop: now, take: MaxSweptAtOnce);
            var claims = await Task.WhenAll(expired.Select(async entry => (entry, IsOffline: await ClaimAsync(entry.Element, now))));
            offline.AddRange(
                claims.Where(claim => claim.IsOffline).Select(claim => (Guid.Parse((string)claim.entry.Element!), claim.entry.Score)));
        }
        while (expired.Length == MaxSweptAtOnce);
        return offline;
    }

    /// <summary>Returns which of these users hold a lease.</summary>
    public async Task<IReadOnlySet<Guid>> OnlineAsync(IReadOnlyCollection<Guid> users)
    {
        var now = Now();
        var counts = users.Select(
            user => (user, Leases: redis.Database.SortedSetLengthAsync(redis.Keys.Online(user), now, double.PositiveInfinity))).ToArray();
        await Task.WhenAll(counts.Select(count => count.Leases));
        return counts.Where(count => count.Leases.Result > 0).Select(count => count.user).ToHashSet();
    }

    // Returns true if this node has removed the user from the list and none of their leases is left.
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
