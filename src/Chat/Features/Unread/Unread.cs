using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Counts unread messages: messages by others past the reader's cursor. The count is never stored: it is computed from the cursors
/// whenever a user connects, reads or asks, and maintained by <see cref="UserFeed"/> in between.
/// </summary>
public sealed class UnreadSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<UnreadQuery>();
        slice.MapModule<UnreadModule>();
    }
}

/// <summary>The response of <c>GET /chat/unread</c>.</summary>
/// <param name="TotalUnread">The number of unread messages in all conversations.</param>
/// <param name="Conversations">The conversations with unread messages.</param>
public sealed record UnreadSummary(long TotalUnread, IReadOnlyList<UnreadConversation> Conversations);

/// <summary>A conversation of an <see cref="UnreadSummary"/>.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Unread">The number of unread messages in it.</param>
public sealed record UnreadConversation(Guid ConversationId, long Unread);

/// <summary>A member's position in a conversation, from one database snapshot.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Seq">The conversation's latest sequence number.</param>
/// <param name="ReadUpTo">The member's read cursor.</param>
/// <param name="Unread">The number of unread messages up to <paramref name="Seq"/>.</param>
/// <param name="Others">The cursors of the other members.</param>
internal readonly record struct MemberPosition(
    Guid ConversationId, long Seq, long ReadUpTo, long Unread, IReadOnlyList<MemberCursor> Others);

/// <summary>The cursors of a member.</summary>
/// <param name="UserId">The member.</param>
/// <param name="ReadUpTo">See <see cref="Member.ReadUpTo"/>.</param>
/// <param name="DeliveredUpTo">See <see cref="Member.DeliveredUpTo"/>.</param>
internal readonly record struct MemberCursor(Guid UserId, long ReadUpTo, long DeliveredUpTo)
{
    /// <summary>Returns the SQL expression for the delivery cursor of a member row.</summary>
    public static string DeliveredIn(string row) => $"coalesce(({row}.data ->> 'deliveredUpTo')::bigint, 0)";
}

/// <summary>Computes unread counts from the cursors, each time in one statement.</summary>
internal sealed class UnreadQuery(NpgsqlDataSource database, TableNames tables)
{
    /// <summary>Returns a user's conversations with unread messages.</summary>
    public async Task<IReadOnlyList<UnreadConversation>> SummaryAsync(Guid userId)
    {
        await using var command = database.CreateCommand($"""
            select m.conversation_id, counted.unread
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id and h.seq > m.read_up_to
            cross join lateral (
                select count(*) as unread from {tables.Message} x
                where x.conversation_id = m.conversation_id and x.seq > m.read_up_to and x.sender_id <> m.user_id) counted
            where m.user_id = $1 and counted.unread > 0
            """).With(userId);
        return await command.ReadAllAsync(row => new UnreadConversation(row.GetGuid(0), row.GetInt64(1)));
    }

    /// <summary>Returns a user's positions in all or some of their conversations.</summary>
    public async Task<IReadOnlyList<MemberPosition>> LoadAsync(Guid userId, Guid[]? conversations = null)
    {
        await using var command = database.CreateCommand($"""
            select m.conversation_id, h.seq, m.read_up_to,
                   case when h.seq = m.read_up_to then 0 else
                   (select count(*) from {tables.Message} x
                    where x.conversation_id = m.conversation_id and x.seq > m.read_up_to and x.sender_id <> m.user_id) end,
                   others.users, others.reads, others.delivered
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
            cross join lateral (
                select coalesce(array_agg(o.user_id), array[]::uuid[]) as users, coalesce(array_agg(o.read_up_to), array[]::bigint[]) as reads,
                       coalesce(array_agg({MemberCursor.DeliveredIn("o")}), array[]::bigint[]) as delivered
                from {tables.Member} o where o.conversation_id = m.conversation_id and o.user_id <> m.user_id) others
            where m.user_id = $1 {(conversations is null ? "" : "and m.conversation_id = any($2)")}
            """).With(userId);
        if (conversations is not null)
            command.With(conversations);
        return await command.ReadAllAsync(row => new MemberPosition(
            row.GetGuid(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3),
            Cursors(row.GetFieldValue<Guid[]>(4), row.GetFieldValue<long[]>(5), row.GetFieldValue<long[]>(6))));
    }

    private static MemberCursor[] Cursors(Guid[] users, long[] reads, long[] delivered) =>
        [.. users.Select((user, i) => new MemberCursor(user, reads[i], delivered[i]))];
}

/// <summary>The REST endpoints.</summary>
public sealed class UnreadModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapGet("/chat/unread", GetAsync).RequireAuthorization().WithTags("Conversations")
        .Describe("getUnread", "Returns the unread counts.",
            "Counts messages by others past the caller's read cursors. Absolute numbers, from the database.")
        .Returns(StatusCodes.Status200OK, "The conversations with unread messages.", new UnreadSummary(3, [new(Example.Conversation, 3)]))
        .Fails();

    private static async Task<IResult> GetAsync(HttpContext http, UnreadQuery counts)
    {
        var unread = await counts.SummaryAsync(http.User.UserId());
        return TypedResults.Ok(new UnreadSummary(unread.Sum(conversation => conversation.Unread), unread));
    }
}
