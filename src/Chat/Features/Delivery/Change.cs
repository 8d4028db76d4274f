using System.Buffers.Text;
using System.Text.Json;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// One numbered change of a conversation on its way to people. The message is encoded once, and its events are written
/// around it, each at most once: nothing else costs a node so much for each message.
/// </summary>
/// <param name="message">The message in its present state, tempId included.</param>
internal sealed class Change(Message message)
{
    private static readonly byte[] Before = "{\"message\":"u8.ToArray();
    private static readonly byte[] BeforeSent = "{\"tempId\":"u8.ToArray();
    private static readonly byte[] BetweenSent = ",\"message\":"u8.ToArray();
    private static readonly byte[] BeforeUpdated = "{\"conversationId\":\""u8.ToArray();
    private static readonly byte[] BetweenUpdated = "\",\"lastMessage\":"u8.ToArray();
    private static readonly byte[] BehindUpdated = ",\"seq\":"u8.ToArray();
    private static readonly byte[] TempIdKey = ",\"tempId\":"u8.ToArray();
    private static readonly byte[] End = "}"u8.ToArray();
    private static readonly byte[] Ends = "}}"u8.ToArray();

    private readonly byte[] json = JsonSerializer.SerializeToUtf8Bytes(message.For(Guid.Empty), ChatJson.Wire.Message);
    private readonly byte[]? tempId = message.TempId is null ? null : JsonSerializer.SerializeToUtf8Bytes(message.TempId, ChatJson.Wire.String);
    private Frame? toSender;
    private Frame? toOthers;
    private Frame? updated;

    public Message Message => message;

    /// <summary>The frames for one of the conversation's members. Racing encoders are harmless: the bytes are equal.</summary>
    public Frame New(bool isSender) => isSender && tempId is not null
        ? toSender ??= Frame.Of<MessageArrived>(id: null, Before, json.AsMemory()[..^1], TempIdKey, tempId, Ends)
        : toOthers ??= Frame.Of<MessageArrived>(id: null, Before, json, End);

    /// <summary>See <see cref="New"/>.</summary>
    public Frame Updated()
    {
        if (updated is not null)
            return updated;
        var (conversation, seq) = (new byte[36], new byte[20]);
        Utf8Formatter.TryFormat(message.ConversationId, conversation, out _);
        Utf8Formatter.TryFormat(message.ChangedSeq, seq, out var digits);
        return updated = Frame.Of<ConversationUpdated>(id: null, BeforeUpdated, conversation, BetweenUpdated, json, BehindUpdated, seq.AsMemory(0, digits), End);
    }

    /// <summary>The answer to the send that made the change: an event of <typeparamref name="TAnswer"/>'s name with the tempId and the message.</summary>
    public Frame Answer<TAnswer>(string? id)
        where TAnswer : IEvent<TAnswer> => tempId is null
            ? Frame.Of<TAnswer>(id, Before, json, End)
            : Frame.Of<TAnswer>(id, BeforeSent, tempId, BetweenSent, json.AsMemory()[..^1], TempIdKey, tempId, Ends);
}

/// <summary>The answer to the send that made a change: goes out in the change's place in the order.</summary>
/// <param name="connection">Where the send came from.</param>
/// <param name="frame">The answer.</param>
internal sealed class PendingReply(Connection connection, Frame frame)
{
    private readonly TaskCompletionSource sent = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Connection Connection => connection;

    /// <summary>Completes when the answer is in the connection's queue.</summary>
    public Task Sent => sent.Task;

    public void Send()
    {
        // Once: it may be released early and come up again in its order.
        if (sent.TrySetResult())
            connection.Send(frame);
    }
}
