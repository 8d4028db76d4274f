using System.Globalization;
using Chat.Storage;
using Marten;
using Npgsql;

namespace Chat.Features;

/// <summary>The wire type <c>conversation</c>, as seen by one of its members.</summary>
/// <param name="Id">The conversation id.</param>
/// <param name="Kind">Direct or group.</param>
/// <param name="Members">All members with their cursors.</param>
/// <param name="Seq">The sequence number of the latest change; 0 before the first.</param>
/// <param name="LastMessage">The latest message, if any.</param>
/// <param name="UpdatedAt">The time of the latest change.</param>
/// <param name="Unread">The number of messages by others past the caller's read cursor.</param>
public sealed record ConversationView(
    Guid Id, ConversationKind Kind, IReadOnlyList<MemberView> Members, long Seq, Message? LastMessage, DateTimeOffset UpdatedAt,
    long Unread)
{
    internal static ConversationView Example { get; } = new(
        Rest.Example.Conversation,
        ConversationKind.Direct,
        [new(Rest.Example.Alice, "alice", "Alice", null, 1, 1), new(Rest.Example.Bob, "bob", null, null, 0, 1)],
        1,
        Rest.Example.Hello,
        Rest.Example.At,
        0);
}

/// <summary>A member of a <see cref="ConversationView"/>.</summary>
/// <param name="UserId">The user id.</param>
/// <param name="Username">From the user directory.</param>
/// <param name="Name">The display name, from the user directory.</param>
/// <param name="Picture">A URL, from the user directory.</param>
/// <param name="ReadUpTo">The read cursor: every sequence number up to and including this one was read.</param>
/// <param name="DeliveredUpTo">The delivery cursor: every sequence number up to and including this one has reached a device.</param>
public sealed record MemberView(Guid UserId, string? Username, string? Name, string? Picture, long ReadUpTo, long DeliveredUpTo);

/// <summary>The response of <c>GET /chat/conversations</c>.</summary>
/// <param name="Conversations">Latest activity first.</param>
/// <param name="NextCursor">The cursor of the next page; absent on the last page.</param>
public sealed record ConversationPage(IReadOnlyList<ConversationView> Conversations, string? NextCursor);

/// <summary>A paging cursor: the last activity and the id of a page's last conversation.</summary>
internal readonly record struct ConversationCursor(DateTimeOffset UpdatedAt, Guid Id)
{
    /// <summary>Sorts before every conversation.</summary>
    private static readonly ConversationCursor Start = new(DateTimeOffset.MaxValue, Guid.AllBitsSet);

    public static bool TryRead(string? text, out ConversationCursor cursor)
    {
        cursor = Start;
        if (text is null)
            return true;
        var parts = text.Split('_');
        if (parts.Length != 2
            || !long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
            || milliseconds > Start.UpdatedAt.ToUnixTimeMilliseconds()
            || !Guid.TryParseExact(parts[1], "N", out var id))
            return false;
        cursor = new ConversationCursor(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), id);
        return true;
    }

    public override string ToString() => $"{UpdatedAt.ToUnixTimeMilliseconds()}_{Id:N}";
}

/// <summary>Assembles conversations as seen by a member, in a constant number of queries per page.</summary>
internal sealed class ConversationViews(IDocumentStore store, NpgsqlDataSource database, TableNames tables, UnreadQuery unread)
{
    public async Task<ConversationView> OneAsync(Guid conversationId, Guid userId) => (await ManyAsync([conversationId], userId)).Single();

    /// <summary>
    /// Returns a page of the user's conversations. An empty direct conversation is listed only for its first member, who
    /// opened it: the other user sees it once a message exists.
    /// </summary>
    public async Task<ConversationPage> PageAsync(Guid userId, int limit, ConversationCursor after)
    {
        await using var command = database.CreateCommand($"""
            select h.id, h.updated_at
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
            where m.user_id = $1 and (h.updated_at, h.id) < ($2, $3)
              and (h.seq > 0 or exists (
                select 1 from {tables.Conversation} c
                where c.id = h.id and (lower(c.data ->> 'kind') <> 'direct' or c.data -> 'members' ->> 0 = $1::text)))
            order by h.updated_at desc, h.id desc
            limit $4
            """).With(userId).With(after.UpdatedAt).With(after.Id).With(limit + 1);
        var page = await command.ReadAllAsync(row => new ConversationCursor(row.GetFieldValue<DateTimeOffset>(1), row.GetGuid(0)));
        var hasMore = page.Count > limit;
        var shown = page.Take(limit).ToArray();
        var views = await ManyAsync([.. shown.Select(row => row.Id)], userId);
        return new ConversationPage(views, hasMore ? shown[^1].ToString() : null);
    }

    /// <summary>Returns the conversations with these ids, in this order.</summary>
    public async Task<IReadOnlyList<ConversationView>> ManyAsync(Guid[] ids, Guid userId)
    {
        if (ids.Length == 0)
            return [];
        await using var session = store.QuerySession();
        var first = session.CreateBatchQuery();
        var conversationsFound = first.LoadMany<Conversation>().ById(ids);
        var headsFound = first.LoadMany<ConversationHead>().ById(ids);
        var membersFound = first.Query<Member>("where conversation_id = any(?)", ids);
        await first.Execute();
        var conversations = (await conversationsFound).ToDictionary(conversation => conversation.Id);
        var heads = (await headsFound).ToDictionary(head => head.Id);
        var members = (await membersFound).ToLookup(member => member.ConversationId);

        var second = session.CreateBatchQuery();
        var usersFound = second.LoadMany<User>().ById([.. members.SelectMany(group => group).Select(member => member.UserId).Distinct()]);
        var messagesFound = second.LoadMany<Message>().ById([.. heads.Values.Select(head => head.LastMessageId).OfType<Guid>()]);
        var blocksFound = second.LoadMany<Block>().ById([.. conversations.Values.SelectMany(conversation => conversation.Blocks)]);
        await second.Execute();
        var frozen =
            (await blocksFound).SelectMany(block => block.Frozen).Where(member => member.UserId != userId).ToLookup(member => member.Id);
        var users = (await usersFound).ToDictionary(user => user.Id);
        var messages = (await messagesFound).ToDictionary(message => message.Id);
        var counts = (await unread.LoadAsync(userId, ids)).ToDictionary(row => row.ConversationId);

        return [.. ids.Select(id => new ConversationView(
            id,
            conversations[id].Kind,
    [.. conversations[id].Members.Select(
        user => View(Visible(members[id].First(member => member.UserId == user)), users.GetValueOrDefault(user)))],
            heads[id].Seq,
            heads[id].LastMessageId is { } last ? messages[last].For(userId) : null,
            heads[id].UpdatedAt,
            counts[id].Unread))];

        // A block freezes the cursors of the other user.
        Member Visible(Member member) => frozen[member.Id].FirstOrDefault(member);
    }

    private static MemberView View(Member member, User? user) =>
        new(member.UserId, user?.Username, user?.Name, user?.Picture, member.ReadUpTo, member.DeliveredUpTo);
}
