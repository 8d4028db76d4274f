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
internal readonly record struct MemberPosition(Guid ConversationId, long Seq, long ReadUpTo, long Unread);

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

    /// <summary>Returns a user's positions in all of their conversations, and a snapshot whose effects they include.</summary>
    public async Task<(IReadOnlyList<MemberPosition> Rows, DatabaseSnapshot Snapshot)> LoadAllAsync(Guid userId)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection)
        {
            // In this order: each statement has a snapshot of its own, and the positions must not be older.
            BatchCommands = { new("select pg_current_snapshot()::text"), new(Positions) { Parameters = { new() { Value = userId } } } },
        };
        await using var reader = await batch.ExecuteReaderAsync();
        await reader.ReadAsync();
        var snapshot = DatabaseSnapshot.Parse(reader.GetString(0));
        await reader.NextResultAsync();
        var rows = new List<MemberPosition>();
        while (await reader.ReadAsync())
            rows.Add(Position(reader));
        return (rows, snapshot);
    }

    /// <summary>Returns a user's positions in some of their conversations.</summary>
    public async Task<IReadOnlyList<MemberPosition>> LoadAsync(Guid userId, Guid[] conversations)
    {
        await using var command = database.CreateCommand($"{Positions} and m.conversation_id = any($2)").With(userId).With(conversations);
        return await command.ReadAllAsync(Position);
    }

    private string Positions => $"""
        select m.conversation_id, h.seq, m.read_up_to,
               case when h.seq = m.read_up_to then 0 else
               (select count(*) from {tables.Message} x
                where x.conversation_id = m.conversation_id and x.seq > m.read_up_to and x.sender_id <> m.user_id) end
        from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
        where m.user_id = $1
        """;

    private static MemberPosition Position(NpgsqlDataReader row) =>
        new(row.GetGuid(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3));
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
