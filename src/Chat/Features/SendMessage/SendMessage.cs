using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;

namespace Chat.Features;

/// <summary>
/// Sends messages. Acknowledged means committed, exactly once for each tempId of the sender, however often it is retried, over
/// socket or REST, on any node. Publishes <c>message.new</c>, <c>conversation.updated</c> and <c>notification.unread</c> through
/// <see cref="Delivery"/>; blocks are checked in the transaction that stores the message.
/// </summary>
public sealed class SendMessageSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) =>
        slice.HandleEvent<SendMessage, SendMessageHandler>(hasOwnRate: true, takesTurn: false).MapModule<SendMessageModule>();
}

/// <summary>The event <c>message.send</c>, and the body of <c>POST /chat/conversations/{id}/messages</c>.</summary>
/// <param name="ConversationId">The conversation; over REST it is in the path.</param>
/// <param name="Content">1 to 4,000 Unicode scalar values, at least one of them visible, after leading blank lines and trailing
/// white space were trimmed.</param>
/// <param name="TempId">An idempotency key of 1 to 64 characters; an empty one counts as omitted.</param>
/// <param name="Type">Only <c>text</c> is supported.</param>
/// <param name="ReplyTo">Reserved.</param>
/// <param name="Attachments">Reserved.</param>
public sealed record SendMessage(
    [property: NotInBody] Guid? ConversationId,
    [property: Required, MinLength(1)] string? Content,
    [property: MaxLength(SendMessage.MaxTempId)] string? TempId,
    string? Type,
    [property: NotInBody] JsonElement? ReplyTo,
    [property: NotInBody] JsonElement? Attachments) : IEvent<SendMessage>
{
    /// <summary>The only supported type.</summary>
    public const string Text = "text";

    private const int MaxTempId = 64;

    /// <inheritdoc/>
    public static string Name => "message.send";

    /// <inheritdoc/>
    public static JsonTypeInfo<SendMessage> Json => FeatureJson.Wire.SendMessage;

    /// <summary>Returns a copy in canonical form: trimmed content, and null for an empty tempId.</summary>
    public SendMessage Normalized() =>
        this with { TempId = TempId is "" ? null : TempId, Content = Content is null ? null : Storage.Content.Trim(Content) };

    /// <summary>Returns the first invalid field; null if all are valid. Does not need the database.</summary>
    public ChatError? Validate(Limits limits)
    {
        if (ConversationId is null)
            return ChatError.NoConversationId;
        if (TempId is not null && (!WireText.IsClean(TempId) || WireText.Length(TempId) is < 1 or > MaxTempId))
            return ChatError.Invalid("tempId", $"1 to {MaxTempId} characters, without U+0000.");
        if (Type is not (null or Text))
            return ChatError.Invalid("type", "Only text is supported.");
        if (ReplyTo is not null)
            return ChatError.Invalid("replyTo", "Reserved.");
        if (Attachments is not null)
            return ChatError.Invalid("attachments", "Reserved.");
        return Content is null || !WireText.IsClean(Content) || !Storage.Content.IsVisible(Content) || IsTooLong(limits)
            ? ChatError.Invalid(
                "content", $"1 to {limits.MaxContentLength} characters after trimming, one of them visible, without U+0000.")
            : null;
    }

    /// <summary>Returns whether the content exceeds its maximum length.</summary>
    public bool IsTooLong(Limits limits) =>
        Content is not null && Content.Length > limits.MaxContentLength && WireText.Length(Content) > limits.MaxContentLength;

    /// <summary>Creates the draft of a valid message by a member.</summary>
    public MessageDraft Draft(Guid sender, Conversation conversation) => new(
        TempId is null ? Guid.CreateVersion7() : DeterministicId.Of("message", sender, conversation.Id, TempId),
        conversation.Id,
        sender,
        Text,
        Content!,
        TempId,
        conversation.Blocks);
}

/// <summary>The event <c>message.sent</c>: the message is committed.</summary>
/// <param name="TempId">The tempId of the send; empty if it had none.</param>
/// <param name="Message">The message as stored by this send or by an earlier one with the same tempId.</param>
public sealed record MessageSent(string TempId, Message Message) : IEvent<MessageSent>
{
    /// <inheritdoc/>
    public static string Name => "message.sent";

    /// <inheritdoc/>
    public static JsonTypeInfo<MessageSent> Json => FeatureJson.Wire.MessageSent;
}

/// <summary>Validates, commits, publishes and replies, in this order.</summary>
internal sealed class SendMessageHandler(
    Conversations conversations, ConversationLog log, Delivery delivery, SendRateLimiter rates, ServerMetrics metrics, Limits limits,
    TimeProvider time) : IHandler<SendMessage>
{
    /// <summary>For a primary key lookup, usually answered from memory. Bounds the send to 5 s together with the log's deadline.</summary>
    private static readonly TimeSpan LookupTimeout = TimeSpan.FromSeconds(1);

    public async ValueTask<ChatError?> HandleAsync(SendMessage received, EventContext context)
    {
        if (context.Connection.TakeSendPermit() is var retryAfter && retryAfter > TimeSpan.Zero)
            return TooFast(nameof(Limits.MessagesPerSecond), retryAfter, received);

        PendingReply? reply = null;
        var result = await AppendAsync(received, context.UserId, draft => reply = Expect(context, draft));
        // Whatever the append returned: if the repair has found the message in the database, it is committed and was answered.
        if (reply is null || (result.Error is not null && reply.TryWithdraw()))
            return result.Error;
        if (result.Value.Outcome == AppendOutcome.Repeated)
            reply.Send(new Change(result.Value.Message!));
        // Wait for the reply's turn before the connection's next event is handled, so that replies keep their order.
        await reply.Sent;
        return null;
    }

    /// <summary>Appends a message, for the socket and for REST.</summary>
    /// <param name="sent">The request.</param>
    /// <param name="sender">The sender.</param>
    /// <param name="expect">Creates the reply that is sent at the message's position in the order, if any.</param>
    public async ValueTask<Result<Appended>> AppendAsync(
        SendMessage sent, Guid sender, Func<MessageDraft, PendingReply?> expect)
    {
        var send = sent.Normalized();
        if (rates.Take(sender) is var retryAfter && retryAfter > TimeSpan.Zero)
            return TooFast(nameof(Limits.MessagesPerSecondPerUser), retryAfter, send);
        if (send.IsTooLong(limits))
            metrics.LimitHit(nameof(Limits.MaxContentLength));
        if (send.Validate(limits) is { } invalid)
            return invalid with { TempId = send.TempId };
        var lookup = conversations.FindAsync(send.ConversationId!.Value, sender);
        var conversation = lookup.IsCompletedSuccessfully ? lookup.Result : await lookup.AsTask().WaitAsync(LookupTimeout, time);
        if (conversation is null)
            return ChatError.Forbidden with { TempId = send.TempId };

        var draft = send.Draft(sender, conversation);
        var reply = expect(draft);
        var appended = await log.AppendAsync(draft, message => delivery.Committed(new Change(message), conversation.Members, reply));
        return appended.Outcome switch
        {
            AppendOutcome.Blocked => ChatError.Blocked with { TempId = send.TempId },
            AppendOutcome.NoConversation => ChatError.Forbidden with { TempId = send.TempId },
            AppendOutcome.Unavailable => ChatError.Unavailable with { TempId = send.TempId },
            _ => appended,
        };
    }

    private ChatError TooFast(string limit, TimeSpan retryAfter, SendMessage send)
    {
        metrics.LimitHit(limit);
        return ChatError.RateLimited(retryAfter) with { TempId = send.TempId is "" ? null : send.TempId };
    }

    private PendingReply Expect(EventContext context, MessageDraft draft)
    {
        var reply = new PendingReply(context.Connection, draft.Id, change => change.Answer<MessageSent>(context.Id));
        delivery.Expect(context.UserId, draft.ConversationId, reply);
        return reply;
    }
}

/// <summary>The REST endpoints.</summary>
public sealed class SendMessageModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapPost("/chat/conversations/{id:guid}/messages", SendAsync).RequireAuthorization().WithTags("Messages")
            .Describe(
                "sendMessage", "Sends a message to a conversation.",
                "The same rules, pushes and errors as `message.send`. The response is sent after the database has committed; with a `tempId` the request may be retried without limit.")
            .Accepts(new SendMessage(null, "hello", "t1", null, null, null))
            .Returns(StatusCodes.Status200OK, "A retry: the message stored by the first request.", Example.Hello)
            .Returns(StatusCodes.Status201Created, "The message was stored.", Example.Hello)
            .Fails(ChatError.Invalid("content", "1 to 4000 characters after trimming, one of them visible, without U+0000."),
                ChatError.Blocked, ChatError.Forbidden, ChatError.RateLimited(TimeSpan.FromMilliseconds(1)));

    private static async Task<IResult> SendAsync(
        [Description("The conversation.")] Guid id, Body<SendMessage> body, HttpContext http, SendMessageHandler handler)
    {
        if (!body.Content.Succeeded(out var request, out var error)
            || !(await handler.AppendAsync(request with { ConversationId = id }, http.User.UserId(), _ => null))
                .Succeeded(out var appended, out error))
            return error.ToProblem();
        return appended.Outcome == AppendOutcome.Repeated
            ? TypedResults.Ok(appended.Message)
            : TypedResults.Created((string?)null, appended.Message);
    }
}
