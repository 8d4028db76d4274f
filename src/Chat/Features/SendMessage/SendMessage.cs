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
/// Says something in a conversation. Acknowledged means committed, exactly once under the sender's tempId, however
/// often it is sent, over which way and on which node. Publishes <c>message.new</c>, <c>conversation.updated</c> and
/// <c>notification.unread</c> through <see cref="Delivery"/>; a block is checked in the transaction that stores.
/// </summary>
public sealed class SendMessageSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) =>
        slice.HandleEvent<SendMessage, SendMessageHandler>(hasOwnRate: true, takesTurn: false).MapModule<SendMessageModule>();
}

/// <summary>The event <c>message.send</c>, and the body of <c>POST /chat/conversations/{id}/messages</c>.</summary>
/// <param name="ConversationId">Where; over REST it is in the address.</param>
/// <param name="Content">1 to 4,000 Unicode scalar values after trimming (blank lines at the start and white space at the end go), at least one of them visible.</param>
/// <param name="TempId">1 to 64 characters that make the send repeatable; an empty one is none.</param>
/// <param name="Type">So far <c>text</c> only.</param>
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
    /// <summary>The only type there is so far.</summary>
    public const string Text = "text";

    private const int MaxTempId = 64;

    /// <inheritdoc/>
    public static string Name => "message.send";

    /// <inheritdoc/>
    public static JsonTypeInfo<SendMessage> Json => FeatureJson.Wire.SendMessage;

    /// <summary>The send with what may be written in several ways written in one.</summary>
    public SendMessage Normalized() => this with { TempId = TempId is "" ? null : TempId, Content = Content is null ? null : Storage.Content.Trim(Content) };

    /// <summary>What is wrong with the fields, if anything; nothing of it needs the database.</summary>
    public ChatError? Fault(Limits limits)
    {
        if (ConversationId is null)
            return ChatError.Invalid("conversationId", "A conversation's id is needed.");
        if (TempId is not null && (!WireText.IsClean(TempId) || WireText.Length(TempId) is < 1 or > MaxTempId))
            return ChatError.Invalid("tempId", $"1 to {MaxTempId} characters, without U+0000.");
        if (Type is not (null or Text))
            return ChatError.Invalid("type", "Only text so far.");
        if (ReplyTo is not null)
            return ChatError.Invalid("replyTo", "Reserved.");
        if (Attachments is not null)
            return ChatError.Invalid("attachments", "Reserved.");
        return Content is null || !WireText.IsClean(Content) || !Storage.Content.IsVisible(Content) || IsTooLong(limits)
            ? ChatError.Invalid("content", $"1 to {limits.MaxContentLength} characters after trimming, one of them visible, without U+0000.")
            : null;
    }

    /// <summary>Whether the content is past its bound.</summary>
    public bool IsTooLong(Limits limits) => Content is not null && Content.Length > limits.MaxContentLength && WireText.Length(Content) > limits.MaxContentLength;

    /// <summary>The draft of a message without fault, said by a member.</summary>
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
/// <param name="TempId">The send's; empty where it had none.</param>
/// <param name="Message">The message as stored, now or the first time.</param>
public sealed record MessageSent(string TempId, Message Message) : IEvent<MessageSent>
{
    /// <inheritdoc/>
    public static string Name => "message.sent";

    /// <inheritdoc/>
    public static JsonTypeInfo<MessageSent> Json => FeatureJson.Wire.MessageSent;
}

/// <summary>Check, commit, publish, reply.</summary>
internal sealed class SendMessageHandler(
    Conversations conversations, ConversationLog log, Delivery delivery, SendRateLimiter rates, ServerMetrics metrics, Limits limits, TimeProvider time) : IHandler<SendMessage>
{
    /// <summary>For a look by primary key, mostly into memory: so that this and the log together stay within 5 s.</summary>
    private static readonly TimeSpan LookupTimeout = TimeSpan.FromSeconds(1);

    public async ValueTask<ChatError?> HandleAsync(SendMessage received, EventContext context)
    {
        if (context.Connection.TakeSendPermit() is var wait && wait > TimeSpan.Zero)
            return TooFast(nameof(Limits.MessagesPerSecond), wait, received);

        PendingReply? reply = null;
        var (appended, error) = await AppendAsync(received, context.UserId, draft => reply = Expect(context, draft));
        // Whatever came of the append: if the message was found in the database meanwhile, it is there and answered.
        if (reply is null || (error is not null && reply.TryWithdraw()))
            return error;
        if (appended.Outcome == AppendOutcome.Repeated)
            reply.Send(new Change(appended.Message!));
        // A reply that waits for its place in the order holds back the connection's next event, and so the next reply.
        await reply.Sent;
        return null;
    }

    /// <summary>What the socket and REST have in common.</summary>
    /// <param name="sent">The send.</param>
    /// <param name="sender">Who sends.</param>
    /// <param name="expect">Makes the answer that is to go out in the message's place in the order, if any.</param>
    public async ValueTask<(Appended Appended, ChatError? Error)> AppendAsync(SendMessage sent, Guid sender, Func<MessageDraft, PendingReply?> expect)
    {
        var send = sent.Normalized();
        if (rates.Take(sender) is var wait && wait > TimeSpan.Zero)
            return (default, TooFast(nameof(Limits.MessagesPerSecondPerUser), wait, send));
        if (send.IsTooLong(limits))
            metrics.LimitHit(nameof(Limits.MaxContentLength));
        if (send.Fault(limits) is { } fault)
            return (default, fault with { TempId = send.TempId });
        var look = conversations.FindAsync(send.ConversationId!.Value, sender);
        var conversation = look.IsCompletedSuccessfully ? look.Result : await look.AsTask().WaitAsync(LookupTimeout, time);
        if (conversation is null)
            return (default, ChatError.Forbidden with { TempId = send.TempId });

        var draft = send.Draft(sender, conversation);
        var reply = expect(draft);
        var appended = await log.AppendAsync(draft, message => delivery.Committed(new Change(message), conversation.Members, reply));
        return appended.Outcome switch
        {
            AppendOutcome.Blocked => (appended, ChatError.Blocked with { TempId = send.TempId }),
            AppendOutcome.NoConversation => (appended, ChatError.Forbidden with { TempId = send.TempId }),
            AppendOutcome.Unavailable => (appended, ChatError.Unavailable with { TempId = send.TempId }),
            _ => (appended, null),
        };
    }

    private ChatError TooFast(string limit, TimeSpan wait, SendMessage send)
    {
        metrics.LimitHit(limit);
        return ChatError.RateLimited(wait) with { TempId = send.TempId is "" ? null : send.TempId };
    }

    private PendingReply Expect(EventContext context, MessageDraft draft)
    {
        var reply = new PendingReply(context.Connection, draft.Id, change => change.Answer<MessageSent>(context.Id));
        delivery.Expect(context.UserId, draft.ConversationId, reply);
        return reply;
    }
}

/// <summary>The REST side.</summary>
public sealed class SendMessageModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapPost("/chat/conversations/{id:guid}/messages", SendAsync).RequireAuthorization().WithTags("Messages")
            .Describe("sendMessage", "Says something in a conversation.", "The same rules, pushes and errors as `message.send`. The answer comes after the database has committed; with a `tempId` the send may be repeated for ever.")
            .Accepts(new SendMessage(null, "hello", "t1", null, null, null))
            .Returns(StatusCodes.Status200OK, "A repeat: the message of the first time.", Example.Hello)
            .Returns(StatusCodes.Status201Created, "The message.", Example.Hello)
            .Fails(ChatError.Invalid("content", "1 to 4000 characters after trimming, one of them visible, without U+0000."), ChatError.Blocked, ChatError.Forbidden, ChatError.RateLimited(TimeSpan.FromMilliseconds(1)));

    private static async Task<IResult> SendAsync([Description("The conversation.")] Guid id, Body<SendMessage> body, HttpContext http, SendMessageHandler handler)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        var (appended, error) = await handler.AppendAsync(body.Value! with { ConversationId = id }, http.User.UserId(), _ => null);
        if (error is not null)
            return error.ToProblem();
        return appended.Outcome == AppendOutcome.Repeated
            ? TypedResults.Ok(appended.Message)
            : TypedResults.Created((string?)null, appended.Message);
    }
}
