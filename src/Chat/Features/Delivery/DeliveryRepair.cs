using Chat.Backplane;
using Chat.Hosting;
using Chat.Storage;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Recovers changes that were lost between nodes. A visible gap is filled from the database within 250 ms. A loss without a
/// later change is found by the position check, which compares every two seconds what the database has with what this node
/// delivered. Only what is behind in two consecutive checks is fetched, so that changes in flight are left alone; a change is
/// thus at most five seconds late. While Redis is unavailable, and nothing else carries changes between nodes, the check runs
/// twice as often. After a reconnect it runs on every tick for a while, because whatever was published before the
/// subscriptions were restored is lost.
/// </summary>
internal sealed partial class DeliveryRepair(
    Delivery delivery, UnreadRefresher recounts, RedisConnection redis, NpgsqlDataSource database, ChangeReader changes, TableNames tables,
    ServerMetrics metrics, TimeProvider time, ILogger<DeliveryRepair> log)
    : SupervisedBackgroundService(time, log)
{
    private const int TicksPerCheck = 8;
    private const int MaxFetched = 500;
    private const int MaxFetchedBytes = 1024 * 1024;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MaxHold = TimeSpan.FromSeconds(1);
    private readonly FeedCheck<(Guid UserId, Guid ConversationId), long> check = new(database);
    private int reconnectsSeen;
    private int urgentChecks;

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("buffer release", ReleaseAsync), ("gap repair", RepairGapsAsync), ("position check", CheckAsync)];

    // Never waits for the database: replies must be released even when no database connection is free for a repair.
    private async Task ReleaseAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var feed in delivery.Feeds)
                feed.Release(MaxHold);
        }
    }

    // A loop of its own: the position check may block until a network timeout, which must not delay gap repair.
    private async Task RepairGapsAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
            await FillGapsAsync();
    }

    private async Task CheckAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        for (var tick = 1; await timer.WaitForNextTickAsync(stopping); tick++)
        {
            if (IsUrgent() || tick % (redis.IsConnected ? TicksPerCheck : TicksPerCheck / 2) == 0)
                await CompareAsync();
        }
    }

    private bool IsUrgent()
    {
        if (redis.ReconnectCount is var returns && returns > reconnectsSeen)
            (reconnectsSeen, urgentChecks) = (returns, TicksPerCheck);
        if (urgentChecks == 0)
            return false;
        urgentChecks--;
        return true;
    }

    private async Task FillGapsAsync()
    {
        foreach (var feed in delivery.Feeds)
        {
            if (!feed.IsLoaded)
                await delivery.LoadAsync(feed);
            await FillGapsAsync(feed);
        }
    }

    // One batch of the gap; the next is fetched after this one was delivered. However large the gap, little is buffered.
    private async Task FillGapsAsync(UserFeed feed)
    {
        foreach (var (conversationId, position, upTo, isSeen) in feed.Gaps())
        {
            var missing = (await changes.ReadAfterAsync([(conversationId, position)], MaxFetched, MaxFetchedBytes)).TakeWhile(
                message => message.ChangedSeq <= upTo).ToArray();
            var news = feed.Fill(conversationId, missing);
            Repaired(news, conversationId, redis.IsConnected);
            if (isSeen)
                metrics.GapRepaired(news);
            else
                metrics.PositionRepaired(news);
        }
    }

    private async Task CompareAsync()
    {
        foreach (var feeds in check.Begin(delivery.Feeds))
        {
            foreach (var (userId, conversationId, seq, readUpTo) in await MovedAsync(feeds))
            {
                // A feed that was loaded after the query is more recent than its result.
                if (delivery.FeedOf(userId) is not { IsLoaded: true } feed)
                    continue;
                var (_, position, readSeen) = feed.Positions().FirstOrDefault(known => known.ConversationId == conversationId);
                if (readUpTo > readSeen)
                    await recounts.RecountAsync(feed, conversationId);
                if (seq > position && check.IsBehindAgain((userId, conversationId), seq, out var earlier) && earlier > position)
                {
                    feed.MarkMissing(conversationId, earlier);
                    await FillGapsAsync(feed);
                }
            }
        }
    }

    private async Task<IReadOnlyList<(Guid UserId, Guid ConversationId, long Seq, long ReadUpTo)>> MovedAsync(UserFeed[] feeds)
    {
        var known = feeds.SelectMany(
            feed => feed.Positions(), (feed, lane) => (feed.UserId, lane.ConversationId, lane.Position, lane.ReadUpTo)).ToArray();
        await using var command = check.Ask($"""
            select m.user_id, m.conversation_id, h.seq, m.read_up_to
            from {tables.Member} m
            join {tables.ConversationHead} h on h.id = m.conversation_id
            left join unnest($2, $3, $4, $5) k(user_id, conversation_id, position, read_up_to)
              on k.user_id = m.user_id and k.conversation_id = m.conversation_id
            where m.user_id = any($1) and (h.seq > coalesce(k.position, 0) or m.read_up_to > coalesce(k.read_up_to, 0))
            """);
        command.Parameters.Add(new() { Value = feeds.Select(feed => feed.UserId).ToArray() });
        command.Parameters.Add(new() { Value = known.Select(lane => lane.UserId).ToArray() });
        command.Parameters.Add(new() { Value = known.Select(lane => lane.ConversationId).ToArray() });
        command.Parameters.Add(new() { Value = known.Select(lane => lane.Position).ToArray() });
        command.Parameters.Add(new() { Value = known.Select(lane => lane.ReadUpTo).ToArray() });
        var moved = new List<(Guid, Guid, long, long)>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            moved.Add((reader.GetGuid(0), reader.GetGuid(1), reader.GetInt64(2), reader.GetInt64(3)));
        return moved;
    }

    [LoggerMessage(
        243, LogLevel.Debug, "Fetched {Count} missing changes of {ConversationId} from the database (Redis connected: {IsConnected})")]
    private partial void Repaired(int count, Guid conversationId, bool isConnected);
}
