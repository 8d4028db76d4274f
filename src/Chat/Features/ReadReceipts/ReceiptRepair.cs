using Chat.Hosting;
using Chat.Json;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Recovers receipts that were lost between nodes: compares every four seconds the cursors in the database with those that this
/// node has sent. Only what is behind in two consecutive checks is sent, so that receipts in flight are left alone; a receipt is
/// thus at most ten seconds late.
/// </summary>
internal sealed class ReceiptRepair(Delivery delivery, NewlyReadQuery newlyRead, NpgsqlDataSource database, TableNames tables,
    ServerMetrics metrics, TimeProvider time, ILogger<ReceiptRepair> log)
    : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(4);
    private readonly FeedCheck<(Guid UserId, Guid ConversationId, Guid Other), MemberCursor> check = new(database);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("receipt check", CheckAsync)];

    private async Task CheckAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var feeds in check.Begin(delivery.Feeds))
            {
                foreach (var (userId, conversationId, sent, cursor) in await MovedAsync(feeds))
                {
                    if (check.IsBehindAgain((userId, conversationId, cursor.UserId), cursor, out var earlier)
                        && IsPast(earlier, sent) && delivery.FeedOf(userId) is { } feed)
                        await NotifyAsync(feed, conversationId, sent, cursor);
                }
            }
        }
    }

    private static bool IsPast(MemberCursor cursor, MemberCursor other) =>
        cursor.ReadUpTo > other.ReadUpTo || cursor.DeliveredUpTo > other.DeliveredUpTo;

    private async Task NotifyAsync(UserFeed feed, Guid conversationId, MemberCursor sent, MemberCursor cursor)
    {
        var now = Time.GetWireNow();
        metrics.ReceiptRepaired();
        if (cursor.ReadUpTo > sent.ReadUpTo)
        {
            var (_, marked) = await newlyRead.BetweenAsync(conversationId, cursor.UserId, sent.ReadUpTo, cursor.ReadUpTo);
            var update = new ReadUpdate(conversationId, marked, cursor.ReadUpTo, cursor.UserId, now);
            feed.Receipts.Notify(conversationId, update.Cursor, Frame.Of(update), onlyIfNews: true);
        }

        if (cursor.DeliveredUpTo > cursor.ReadUpTo)
        {
            var update = new DeliveredUpdate(conversationId, cursor.DeliveredUpTo, cursor.UserId, now);
            feed.Receipts.Notify(conversationId, update.Cursor, Frame.Of(update), onlyIfNews: true);
        }
    }

    // Blocks are read in the same snapshot as the cursors: see ReadReceiptsHandler. Cursors that advance while a block exists
    // are sent when it is removed.
    private async Task<IReadOnlyList<(Guid UserId, Guid ConversationId, MemberCursor Sent, MemberCursor Cursor)>> MovedAsync(
        UserFeed[] feeds)
    {
        var sent =
            feeds.SelectMany(feed => feed.Receipts.All(), (feed, entry) => (feed.UserId, entry.ConversationId, entry.Cursor)).ToArray();
        await using var command = check.Ask($"""
            select m.user_id, m.conversation_id, o.user_id, coalesce(k.read_up_to, 0), coalesce(k.delivered_up_to, 0), o.read_up_to, {MemberCursor.DeliveredIn("o")}
            from {tables.Member} m
            join {tables.Member} o on o.conversation_id = m.conversation_id and o.user_id <> m.user_id
            left join unnest($2, $3, $4, $5, $6) k(user_id, conversation_id, other, read_up_to, delivered_up_to)
              on k.user_id = m.user_id and k.conversation_id = m.conversation_id and k.other = o.user_id
            where m.user_id = any($1)
              and (o.read_up_to > coalesce(k.read_up_to, 0) or {MemberCursor.DeliveredIn("o")} > coalesce(k.delivered_up_to, 0))
              and not exists (select from {tables.Block} b
                              where (b.blocker_id = m.user_id and b.blocked_id = o.user_id) or (b.blocker_id = o.user_id and b.blocked_id = m.user_id))
            """)
            .WithColumn(feeds, feed => feed.UserId)
            .WithColumn(sent, entry => entry.UserId)
            .WithColumn(sent, entry => entry.ConversationId)
            .WithColumn(sent, entry => entry.Cursor.UserId)
            .WithColumn(sent, entry => entry.Cursor.ReadUpTo)
            .WithColumn(sent, entry => entry.Cursor.DeliveredUpTo);
        return await command.ReadAllAsync(row => (row.GetGuid(0), row.GetGuid(1),
            new MemberCursor(row.GetGuid(2), row.GetInt64(3), row.GetInt64(4)),
            new MemberCursor(row.GetGuid(2), row.GetInt64(5), row.GetInt64(6))));
    }
}
