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
/// How far somebody has come: read and delivered are cursors, numbers that never go back, on any number of devices
/// and nodes, because the member's row is locked while it is moved. Read implies delivered. Publishes
/// <c>message.read_update</c> and <c>message.delivered_update</c> to the others, and the new unread numbers to the
/// reader's own devices.
/// </summary>
public sealed class ReadReceiptsSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<ReceiptPublisher>();
        slice.AddHostedService<ReceiptRepair>()
            .HandleEvent<MarkRead, ReadReceiptsHandler>()
            .HandleEvent<MarkDelivered, ReadReceiptsHandler>()
            .HandleNodeEvent<ReceiptForwarded, ReceiptPublisher>()
            .MapModule<ReadReceiptsModule>();
    }
}

/// <summary>The event <c>message.read</c>, and the body of <c>POST /chat/conversations/{id}/read</c>.</summary>
/// <param name="ConversationId">Where; over REST it is in the address.</param>
/// <param name="UpTo">The number of a message; left out: everything.</param>
[SchemaName("ReadMessages")]
public sealed record MarkRead([property: NotInBody] Guid? ConversationId, long? UpTo) : IEvent<MarkRead>
{
    /// <inheritdoc/>
    public static string Name => "message.read";

    /// <inheritdoc/>
    public static JsonTypeInfo<MarkRead> Json => FeatureJson.Wire.MarkRead;
}

/// <summary>The event <c>message.delivered</c>: a device of the user's has everything up to a number.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="UpTo">The number.</param>
public sealed record MarkDelivered(Guid? ConversationId, long? UpTo) : IEvent<MarkDelivered>
{
    /// <inheritdoc/>
    public static string Name => "message.delivered";

    /// <inheritdoc/>
    public static JsonTypeInfo<MarkDelivered> Json => FeatureJson.Wire.MarkDelivered;
}

/// <summary>The event <c>message.read_ack</c>: the cursor is committed.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="MarkedCount">How many messages of others this has newly marked.</param>
/// <param name="UpTo">Where the cursor stands now.</param>
/// <param name="ReadAt">When.</param>
/// <param name="Unread">What is left unread there.</param>
/// <param name="TotalUnread">What is left unread over all conversations.</param>
[SchemaName("MessagesRead")]
public sealed record ReadAck(Guid ConversationId, int MarkedCount, long UpTo, DateTimeOffset ReadAt, long Unread, long TotalUnread) : IEvent<ReadAck>
{
    /// <inheritdoc/>
    public static string Name => "message.read_ack";

    /// <inheritdoc/>
    public static JsonTypeInfo<ReadAck> Json => FeatureJson.Wire.ReadAck;
}

/// <summary>The event <c>message.read_update</c>, to the other members.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="MessageIds">The messages that are newly marked, ascending by number; the last 100 of them, <paramref name="UpTo"/> says the rest.</param>
/// <param name="UpTo">Where the reader's cursor stands.</param>
/// <param name="ReadBy">The reader.</param>
/// <param name="ReadAt">When.</param>
public sealed record ReadUpdate(Guid ConversationId, IReadOnlyList<Guid> MessageIds, long UpTo, Guid ReadBy, DateTimeOffset ReadAt) : IEvent<ReadUpdate>
{
    /// <inheritdoc/>
    public static string Name => "message.read_update";

    /// <inheritdoc/>
    public static JsonTypeInfo<ReadUpdate> Json => FeatureJson.Wire.ReadUpdate;

    internal MemberCursor Cursor => new(ReadBy, UpTo, UpTo);
}

/// <summary>The event <c>message.delivered_update</c>, to the other members.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="UpTo">Everything up to here has reached a device.</param>
/// <param name="UserId">Whose device.</param>
/// <param name="DeliveredAt">When.</param>
public sealed record DeliveredUpdate(Guid ConversationId, long UpTo, Guid UserId, DateTimeOffset DeliveredAt) : IEvent<DeliveredUpdate>
{
    /// <inheritdoc/>
    public static string Name => "message.delivered_update";

    /// <inheritdoc/>
    public static JsonTypeInfo<DeliveredUpdate> Json => FeatureJson.Wire.DeliveredUpdate;

    internal MemberCursor Cursor => new(UserId, 0, UpTo);
}

/// <summary>Moves cursors and tells of it.</summary>
internal sealed class ReadReceiptsHandler(
    Conversations conversations, ReceiptPublisher receipts, UnreadRefresher recounts, IDocumentStore store, TimeProvider time)
    : IHandler<MarkRead>, IHandler<MarkDelivered>
{
    /// <summary>So many messages an update names; a cursor may pass any number of them at once.</summary>
    public const int MaxMessageIds = 100;

    public async ValueTask<ChatError?> HandleAsync(MarkRead received, EventContext context)
    {
        var (_, error) = await ReadAsync(received, context.UserId, context.Connection, context.Reply);
        return error;
    }

    public async ValueTask<ChatError?> HandleAsync(MarkDelivered received, EventContext context)
    {
        if (received.UpTo is null)
            return ChatError.Invalid("upTo", "The number of a message is needed.");
        var (conversation, error) = await FindAsync(received.ConversationId, context.UserId);
        if (conversation is null)
            return error;
        var (moved, fault) = await MoveAsync(conversation.Id, context.UserId, received.UpTo, isRead: false);
        if (moved is { Before: var before, After: var after, Apart: var apart } && after.DeliveredUpTo > before.DeliveredUpTo)
        {
            var update = new DeliveredUpdate(conversation.Id, after.DeliveredUpTo, context.UserId, time.GetWireNow());
            receipts.Publish(Others(conversation, context.UserId, apart), conversation.Id, update.Cursor, Frame.Of(update));
        }

        return fault;
    }

    /// <summary>What the socket and REST have in common.</summary>
    /// <param name="read">How far.</param>
    /// <param name="reader">Who.</param>
    /// <param name="from">The connection that asked, if one did.</param>
    /// <param name="reply">Sends it the answer, whose counts have their place among those that other events tell it.</param>
    public async Task<(ReadAck? Read, ChatError? Error)> ReadAsync(MarkRead read, Guid reader, Connection? from, Action<ReadAck>? reply = null)
    {
        var (conversation, error) = await FindAsync(read.ConversationId, reader);
        if (conversation is null)
            return (null, error);
        var (moved, fault) = await MoveAsync(conversation.Id, reader, read.UpTo, isRead: true);
        if (moved is not { Before: var before, After: var after, Apart: var apart })
            return (null, fault);

        var readAt = time.GetWireNow();
        var marked = await MarkedAsync(conversation.Id, reader, before.ReadUpTo, after.ReadUpTo);
        if (after.ReadUpTo > before.ReadUpTo)
        {
            var update = new ReadUpdate(conversation.Id, marked.Latest, after.ReadUpTo, reader, readAt);
            receipts.Publish(Others(conversation, reader, apart), conversation.Id, update.Cursor, Frame.Of(update));
        }

        ReadAck? answer = null;
        await recounts.CursorMovedAsync(reader, conversation.Id, except: from, (unread, total) =>
        {
            answer = new ReadAck(conversation.Id, marked.Count, after.ReadUpTo, readAt, unread, total);
            reply?.Invoke(answer);
        });
        return (answer, null);
    }

    private async ValueTask<(Conversation? Conversation, ChatError? Error)> FindAsync(Guid? conversationId, Guid userId)
    {
        if (conversationId is not { } id)
            return (null, ChatError.Invalid("conversationId", "A conversation's id is needed."));
        var conversation = await conversations.FindAsync(id, userId);
        return (conversation, conversation is null ? ChatError.Forbidden : null);
    }

    // A block locks the same row before it takes down how far each has come: either it takes down this move, too, or
    // the move finds the block, and is not told across it.
    private async Task<(Move? Moved, ChatError? Error)> MoveAsync(Guid conversationId, Guid userId, long? upTo, bool isRead)
    {
        await using var session = store.LightweightSession();
        await session.BeginTransactionAsync(CancellationToken.None);
        var look = session.CreateBatchQuery();
        var members = look.Query<Member>("where id = ? for update", Member.IdOf(conversationId, userId));
        var head = look.Load<ConversationHead>(conversationId);
        var blocks = look.Query<Block>("where blocker_id = ? or blocked_id = ?", userId, userId);
        await look.Execute();
        var before = (await members).Single();
        var last = (await head)!.Seq;
        if (upTo is < 1 || upTo > last)
            return (null, ChatError.Invalid("upTo", "There is no such number in this conversation."));

        var after = Member.Advanced(before, upTo ?? last, isRead);
        if (after != before)
        {
            session.Update(after);
            await session.SaveChangesAsync();
        }

        return (new Move(before, after, (await blocks).Select(block => block.BlockerId == userId ? block.BlockedId : block.BlockerId).ToHashSet()), null);
    }

    /// <summary>The messages of others that a reader has newly marked: how many, and the last of them, ascending by number.</summary>
    public async Task<(int Count, IReadOnlyList<Guid> Latest)> MarkedAsync(Guid conversationId, Guid reader, long after, long upTo)
    {
        if (upTo <= after)
            return (0, []);
        await using var session = store.QuerySession();
        var marked = session.Query<Message>()
            .Where(message => message.ConversationId == conversationId && message.Seq > after && message.Seq <= upTo && message.SenderId != reader);
        var latest = await marked.OrderByDescending(message => message.Seq).Take(MaxMessageIds).Select(message => message.Id).ToListAsync();
        return (latest.Count < MaxMessageIds ? latest.Count : await marked.CountAsync(), [.. latest.Reverse()]);
    }

    private static Guid[] Others(Conversation conversation, Guid userId, HashSet<Guid> apart) =>
        [.. conversation.Members.Where(other => other != userId && !apart.Contains(other))];

    /// <summary>A cursor that was moved, or had been further already, and between whom and its owner there was a block.</summary>
    private sealed record Move(Member Before, Member After, HashSet<Guid> Apart);
}

/// <summary>The REST side.</summary>
public sealed class ReadReceiptsModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapPost("/chat/conversations/{id:guid}/read", ReadAsync).RequireAuthorization().WithTags("Messages")
            .Describe("readMessages", "Marks messages as read.", "The same as `message.read`. `upTo` is a number that the conversation has; left out, everything is read. The cursor does not go back.")
            .Accepts(new MarkRead(null, 17))
            .Returns(StatusCodes.Status200OK, "The cursor is committed.", new ReadAck(Example.Conversation, 3, 17, Example.At, 0, 4))
            .Fails(ChatError.Invalid("upTo", "There is no such number in this conversation."), ChatError.Forbidden);

    private static async Task<IResult> ReadAsync([Description("The conversation.")] Guid id, Body<MarkRead> body, HttpContext http, ReadReceiptsHandler handler)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        var (read, error) = await handler.ReadAsync(body.Value! with { ConversationId = id }, http.User.UserId(), from: null);
        return read is null ? error!.ToProblem() : TypedResults.Ok(read);
    }
}
