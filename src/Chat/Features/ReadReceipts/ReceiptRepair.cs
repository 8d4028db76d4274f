using Chat.Json;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Recovers receipts that were lost between nodes, or held back by a block that was removed: compares the cursors that the journal
/// reports with those that this node has sent. A receipt is thus at most two seconds late.
/// </summary>
internal sealed class ReceiptRepair(
    Delivery delivery, LocalMembers members, NewlyReadQuery newlyRead, NpgsqlDataSource database, TableNames tables,
    ServerMetrics metrics, TimeProvider time) : IJournalObserver
{
    public async Task CheckAsync(IReadOnlyList<JournalEntry> due)
    {
        foreach (var feed in delivery.Feeds)
            feed.Receipts.Evict();
        var missing = due.SelectMany(Missing).DistinctBy(receipt => (receipt.Feed, receipt.ConversationId, receipt.Other)).ToArray();
        if (missing.Length == 0)
            return;
        foreach (var (receipt, cursor) in await CursorsAsync(missing))
            await NotifyAsync(receipt, cursor);
    }

    // The receipts of an entry that this node has not sent. Without cursors, the entry says only that they may have changed.
    private IEnumerable<MissingReceipt> Missing(JournalEntry entry) =>
        from other in entry.Users
        from conversationId in entry.Conversations
        from feed in members.Of(conversationId)
        where feed.UserId != other && feed.LoadedAt?.Includes(entry.Transaction) == false
        let sent = feed.Receipts.Sent(conversationId, other)
        where entry.Cursor is not { } cursor || cursor.ReadUpTo > sent.ReadUpTo || cursor.DeliveredUpTo > sent.DeliveredUpTo
        select new MissingReceipt(feed, conversationId, other, Math.Max(sent.ReadUpTo, entry.Cursor?.ReadAfter ?? 0));

    private async Task NotifyAsync(MissingReceipt receipt, MemberCursor cursor)
    {
        var (feed, conversationId, _, readAfter) = receipt;
        var now = time.GetWireNow();
        metrics.ReceiptRepaired();
        if (cursor.ReadUpTo > readAfter)
        {
            var (_, marked) = await newlyRead.BetweenAsync(conversationId, cursor.UserId, readAfter, cursor.ReadUpTo);
            var update = new ReadUpdate(conversationId, marked, cursor.ReadUpTo, cursor.UserId, now);
            feed.Receipts.Notify(conversationId, update.Cursor, Frame.Of(update), onlyIfNews: true);
        }

        if (cursor.DeliveredUpTo > cursor.ReadUpTo)
        {
            var update = new DeliveredUpdate(conversationId, cursor.DeliveredUpTo, cursor.UserId, now);
            feed.Receipts.Notify(conversationId, update.Cursor, Frame.Of(update), onlyIfNews: true);
        }
    }

    // Blocks are read in the same snapshot as the cursors: see ReadReceiptsHandler. A cursor that advances while a block exists is
    // sent when the block is removed, which the journal reports, too.
    private async Task<IReadOnlyList<(MissingReceipt Receipt, MemberCursor Cursor)>> CursorsAsync(MissingReceipt[] missing)
    {
        await using var command = database.CreateCommand($"""
            select p.place - 1, o.user_id, o.read_up_to, {MemberCursor.DeliveredIn("o")}
            from unnest($1, $2) with ordinality p(user_id, member, place) join {tables.Member} o on o.id = p.member
            where {MemberCursor.DeliveredIn("o")} > 0
              and not exists (select from {tables.Block} b
                              where (b.blocker_id = p.user_id and b.blocked_id = o.user_id) or (b.blocker_id = o.user_id and b.blocked_id = p.user_id))
            """)
            .WithColumn(missing, receipt => receipt.Feed.UserId)
            .WithColumn(missing, receipt => Member.IdOf(receipt.ConversationId, receipt.Other));
        return await command.ReadAllAsync(row =>
            (missing[row.GetInt64(0)], new MemberCursor(row.GetGuid(1), row.GetInt64(2), row.GetInt64(3))));
    }

    /// <summary>A receipt that a user's connections have not received.</summary>
    /// <param name="Feed">The user's feed.</param>
    /// <param name="ConversationId">The conversation.</param>
    /// <param name="Other">The member whose cursor has advanced.</param>
    /// <param name="ReadAfter">The read cursor that the user may already know.</param>
    private sealed record MissingReceipt(UserFeed Feed, Guid ConversationId, Guid Other, long ReadAfter);
}
