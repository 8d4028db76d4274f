using System.ComponentModel;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Json;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>
/// Tracks how far each member has read and received a conversation. Both are cursors, sequence numbers that never decrease, on
/// any number of devices and nodes: the member's row is locked while a cursor advances. Read implies delivered. Publishes
/// <c>message.read_update</c> and <c>message.delivered_update</c> to the other members, and the new unread counts to the
/// reader's own devices.
/// </summary>
public sealed class ReadReceiptsSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<ReceiptPublisher>().AddSingleton<NewlyReadQuery>().AddSingleton<ReceiptRepair>();
        slice.ObserveJournal<ReceiptRepair>()
            .HandleEvent<MarkRead, ReadReceiptsHandler>()
            .HandleEvent<MarkDelivered, ReadReceiptsHandler>()
            .HandleNodeEvent<ReceiptForwarded, ReceiptPublisher>()
            .MapModule<ReadReceiptsModule>();
    }
}

/// <summary>The event <c>message.read</c>, and the body of <c>POST /chat/conversations/{id}/read</c>.</summary>
/// <param name="ConversationId">The conversation; over REST it is in the path.</param>
/// <param name="UpTo">The sequence number to read up to; if omitted, everything.</param>
[SchemaName("ReadMessages")]
public sealed record MarkRead([property: NotInBody] Guid? ConversationId, long? UpTo) : IEvent<MarkRead>
{
    /// <inheritdoc/>
    public static string Name => "message.read";

    /// <inheritdoc/>
    public static JsonTypeInfo<MarkRead> Json => FeatureJson.Wire.MarkRead;
}

/// <summary>The event <c>message.delivered</c>: a device of the user has received everything up to a sequence number.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="UpTo">The sequence number.</param>
public sealed record MarkDelivered(Guid? ConversationId, long? UpTo) : IEvent<MarkDelivered>
{
    /// <inheritdoc/>
    public static string Name => "message.delivered";

    /// <inheritdoc/>
    public static JsonTypeInfo<MarkDelivered> Json => FeatureJson.Wire.MarkDelivered;
}

/// <summary>The event <c>message.read_ack</c>: the read cursor is committed.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="MarkedCount">The number of messages by others that were newly marked as read.</param>
/// <param name="UpTo">The cursor.</param>
/// <param name="ReadAt">When they were read.</param>
/// <param name="Unread">The number of messages left unread in the conversation.</param>
/// <param name="TotalUnread">The number of messages left unread in all conversations.</param>
[SchemaName("MessagesRead")]
public sealed record ReadAck(Guid ConversationId, int MarkedCount, long UpTo, DateTimeOffset ReadAt, long Unread, long TotalUnread)
    : IEvent<ReadAck>
{
    /// <inheritdoc/>
    public static string Name => "message.read_ack";

    /// <inheritdoc/>
    public static JsonTypeInfo<ReadAck> Json => FeatureJson.Wire.ReadAck;
}

/// <summary>The event <c>message.read_update</c>, sent to the other members.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="MessageIds">The newly read messages, ascending by sequence number; only the last 100, <paramref name="UpTo"/>
/// covers the rest.</param>
/// <param name="UpTo">The reader's cursor.</param>
/// <param name="ReadBy">The reader.</param>
/// <param name="ReadAt">When they were read.</param>
public sealed record ReadUpdate(Guid ConversationId, IReadOnlyList<Guid> MessageIds, long UpTo, Guid ReadBy, DateTimeOffset ReadAt)
    : IEvent<ReadUpdate>
{
    /// <inheritdoc/>
    public static string Name => "message.read_update";

    /// <inheritdoc/>
    public static JsonTypeInfo<ReadUpdate> Json => FeatureJson.Wire.ReadUpdate;

    internal MemberCursor Cursor => new(ReadBy, UpTo, UpTo);
}

/// <summary>The event <c>message.delivered_update</c>, sent to the other members.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="UpTo">Everything up to this sequence number has reached a device.</param>
/// <param name="UserId">The owner of the device.</param>
/// <param name="DeliveredAt">When it was delivered.</param>
public sealed record DeliveredUpdate(Guid ConversationId, long UpTo, Guid UserId, DateTimeOffset DeliveredAt) : IEvent<DeliveredUpdate>
{
    /// <inheritdoc/>
    public static string Name => "message.delivered_update";

    /// <inheritdoc/>
    public static JsonTypeInfo<DeliveredUpdate> Json => FeatureJson.Wire.DeliveredUpdate;

    internal MemberCursor Cursor => new(UserId, 0, UpTo);
}

/// <summary>Advances cursors and publishes the updates.</summary>
internal sealed class ReadReceiptsHandler(
    Conversations conversations, ReceiptPublisher receipts, NewlyReadQuery newlyRead, UnreadRefresher recounts,
    IDocumentStore store, Journal journal, TimeProvider time)
    : IHandler<MarkRead>, IHandler<MarkDelivered>
{
    public async ValueTask<ChatError?> HandleAsync(MarkRead received, EventContext context)
    {
        return (await ReadAsync(received, context.UserId, context.Connection, context.Reply)).Error;
    }

    public async ValueTask<ChatError?> HandleAsync(MarkDelivered received, EventContext context)
    {
        if (received.UpTo is null)
            return ChatError.Invalid("upTo", "A sequence number is required.");
        if (!(await FindAsync(received.ConversationId, context.UserId)).Succeeded(out var conversation, out var error)
            || !(await MoveAsync(conversation.Id, context.UserId, received.UpTo, isRead: false)).Succeeded(out var moved, out error))
            return error;
        var (before, after, blocked) = moved;
        if (after.DeliveredUpTo > before.DeliveredUpTo)
        {
            var update = new DeliveredUpdate(conversation.Id, after.DeliveredUpTo, context.UserId, time.GetWireNow());
            receipts.Publish(Others(conversation, context.UserId, blocked), conversation.Id, update.Cursor, Frame.Of(update));
        }

        return null;
    }

    /// <summary>Marks messages as read, for the socket and for REST.</summary>
    /// <param name="read">The conversation and the cursor.</param>
    /// <param name="reader">The reader.</param>
    /// <param name="from">The requesting connection, if any.</param>
    /// <param name="reply">Sends it the reply, whose counts are ordered with those of its other events.</param>
    public async Task<Result<ReadAck>> ReadAsync(
        MarkRead read, Guid reader, Connection? from, Action<ReadAck>? reply = null)
    {
        if (!(await FindAsync(read.ConversationId, reader)).Succeeded(out var conversation, out var error)
            || !(await MoveAsync(conversation.Id, reader, read.UpTo, isRead: true)).Succeeded(out var moved, out error))
            return error;
        var (before, after, blocked) = moved;
        var readAt = time.GetWireNow();
        var marked = await newlyRead.BetweenAsync(conversation.Id, reader, before.ReadUpTo, after.ReadUpTo);
        if (after.ReadUpTo > before.ReadUpTo)
        {
            var update = new ReadUpdate(conversation.Id, marked.Latest, after.ReadUpTo, reader, readAt);
            receipts.Publish(Others(conversation, reader, blocked), conversation.Id, update.Cursor, Frame.Of(update));
        }

        ReadAck? answer = null;
        await recounts.CursorMovedAsync(reader, conversation.Id, except: from, (unread, total) =>
        {
            answer = new ReadAck(conversation.Id, marked.Count, after.ReadUpTo, readAt, unread, total);
            reply?.Invoke(answer);
        });
        return answer!;
    }

    private async ValueTask<Result<Conversation>> FindAsync(Guid? conversationId, Guid userId)
    {
        if (conversationId is not { } id)
            return ChatError.NoConversationId;
        return await conversations.FindAsync(id, userId) is { } conversation ? conversation : ChatError.Forbidden;
    }

    // Creating a block locks the same row before it freezes the cursors: either it freezes this move as well, or the move
    // finds the block and is not published to the other user.
    private async Task<Result<Move>> MoveAsync(Guid conversationId, Guid userId, long? upTo, bool isRead)
    {
        await using var session = store.LightweightSession();
        await session.BeginTransactionAsync(CancellationToken.None);
        var batch = session.CreateBatchQuery();
        var members = batch.Query<Member>("where id = ? for update", Member.IdOf(conversationId, userId));
        var head = batch.Load<ConversationHead>(conversationId);
        var blocks = batch.Query<Block>("where blocker_id = ? or blocked_id = ?", userId, userId);
        await batch.Execute();
        var before = (await members).Single();
        var last = (await head)!.Seq;
        if (upTo is < 1 || upTo > last)
            return ChatError.Invalid("upTo", "This sequence number does not exist in the conversation.");

        var after = Member.Advanced(before, upTo ?? last, isRead);
        if (after != before)
        {
            session.Update(after);
            journal.RecordCursor(session, before, after);
            await session.SaveChangesAsync();
        }

        return new Move(before, after,
            (await blocks).Select(block => block.BlockerId == userId ? block.BlockedId : block.BlockerId).ToHashSet());
    }

    private static Guid[] Others(Conversation conversation, Guid userId, HashSet<Guid> blocked) =>
        [.. conversation.Members.Where(other => other != userId && !blocked.Contains(other))];

    /// <summary>A cursor before and after a request, and the users with whom its owner has a block.</summary>
    private sealed record Move(Member Before, Member After, HashSet<Guid> Blocked);
}

/// <summary>The REST endpoints.</summary>
public sealed class ReadReceiptsModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapPost("/chat/conversations/{id:guid}/read", ReadAsync).RequireAuthorization().WithTags("Messages")
            .Describe(
                "readMessages", "Marks messages as read.",
                "The same as `message.read`. `upTo` is a sequence number of the conversation; if omitted, everything is read. The cursor never decreases.")
            .Accepts(new MarkRead(null, 17))
            .Returns(StatusCodes.Status200OK, "The cursor is committed.", new ReadAck(Example.Conversation, 3, 17, Example.At, 0, 4))
            .Fails(ChatError.Invalid("upTo", "This sequence number does not exist in the conversation."), ChatError.Forbidden);

    private static async Task<IResult> ReadAsync(
        [Description("The conversation.")] Guid id, Body<MarkRead> body, HttpContext http, ReadReceiptsHandler handler)
    {
        if (!body.Content.Succeeded(out var request, out var error)
            || !(await handler.ReadAsync(request with { ConversationId = id }, http.User.UserId(), from: null))
                .Succeeded(out var read, out error))
            return error.ToProblem();
        return TypedResults.Ok(read);
    }
}
