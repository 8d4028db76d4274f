using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Unread = messages of others past the reader's cursor. The number is never stored: it is counted from the cursors
/// in the database whenever somebody connects, reads or asks, and kept up by <see cref="UserFeed"/> in between.
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

/// <summary>The answer of <c>GET /chat/unread</c>.</summary>
/// <param name="TotalUnread">Over all conversations.</param>
/// <param name="Conversations">Those with unread messages.</param>
public sealed record UnreadSummary(long TotalUnread, IReadOnlyList<UnreadConversation> Conversations);

/// <summary>A part of an <see cref="UnreadSummary"/>.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Unread">How many messages are unread there.</param>
public sealed record UnreadConversation(Guid ConversationId, long Unread);

/// <summary>One member's position in one conversation, as one snapshot of the database has it.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Seq">The conversation's latest number in this snapshot.</param>
/// <param name="ReadUpTo">The member's cursor.</param>
/// <param name="Unread">The count, up to <paramref name="Seq"/>.</param>
/// <param name="Others">How far the other members have come.</param>
internal readonly record struct MemberPosition(Guid ConversationId, long Seq, long ReadUpTo, long Unread, IReadOnlyList<MemberCursor> Others);

/// <summary>How far a member has come.</summary>
/// <param name="UserId">Who.</param>
/// <param name="ReadUpTo">See <see cref="Member.ReadUpTo"/>.</param>
/// <param name="DeliveredUpTo">See <see cref="Member.DeliveredUpTo"/>.</param>
internal readonly record struct MemberCursor(Guid UserId, long ReadUpTo, long DeliveredUpTo)
{
    /// <summary>In SQL, of a member's row.</summary>
    public static string DeliveredIn(string row) => $"coalesce(({row}.data ->> 'deliveredUpTo')::bigint, 0)";
}

/// <summary>Counts from the cursors, each time in one statement.</summary>
internal sealed class UnreadQuery(NpgsqlDataSource database, TableNames tables)
{
    /// <summary>The conversations in which a user has something unread, and how much.</summary>
    public async Task<IReadOnlyList<UnreadConversation>> SummaryAsync(Guid userId)
    {
        await using var command = database.CreateCommand($"""
            select m.conversation_id, counted.unread
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id and h.seq > m.read_up_to
            cross join lateral (
                select count(*) as unread from {tables.Message} x
                where x.conversation_id = m.conversation_id and x.seq > m.read_up_to and x.sender_id <> m.user_id) counted
            where m.user_id = $1 and counted.unread > 0
            """);
        command.Parameters.Add(new() { Value = userId });
        var unread = new List<UnreadConversation>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            unread.Add(new UnreadConversation(reader.GetGuid(0), reader.GetInt64(1)));
        return unread;
    }

    /// <summary>A user's positions, in all their conversations or in some.</summary>
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
            """);
        command.Parameters.Add(new() { Value = userId });
        if (conversations is not null)
            command.Parameters.Add(new() { Value = conversations });
        var rows = new List<MemberPosition>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var (users, reads, delivered) = (reader.GetFieldValue<Guid[]>(4), reader.GetFieldValue<long[]>(5), reader.GetFieldValue<long[]>(6));
            rows.Add(new MemberPosition(
                reader.GetGuid(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), [.. users.Select((user, i) => new MemberCursor(user, reads[i], delivered[i]))]));
        }

        return rows;
    }
}

/// <summary>The REST side.</summary>
public sealed class UnreadModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) => app.MapGet("/chat/unread", GetAsync).RequireAuthorization().WithTags("Conversations")
        .Describe("getUnread", "How much is unread, and where.", "Messages of others past the caller's cursors. Absolute numbers, from the database.")
        .Returns(StatusCodes.Status200OK, "The conversations with something unread.", new UnreadSummary(3, [new(Example.Conversation, 3)]))
        .Fails();

    private static async Task<IResult> GetAsync(HttpContext http, UnreadQuery counts)
    {
        var unread = await counts.SummaryAsync(http.User.UserId());
        return TypedResults.Ok(new UnreadSummary(unread.Sum(one => one.Unread), unread));
    }
}
