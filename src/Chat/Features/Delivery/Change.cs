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
    private static readonly byte[] NoTempId = "\"\""u8.ToArray();
    private static readonly byte[] BetweenSent = ",\"message\":"u8.ToArray();
    private static readonly byte[] BeforeUpdated = "{\"conversationId\":\""u8.ToArray();
    private static readonly byte[] BetweenUpdated = "\",\"lastMessage\":"u8.ToArray();
    private static readonly byte[] BehindUpdated = "},\"seq\":"u8.ToArray();
    private static readonly byte[] End = "}"u8.ToArray();
    private static readonly byte[] Ends = "}}"u8.ToArray();

    private readonly byte[] json = JsonSerializer.SerializeToUtf8Bytes(message, StorageJson.Wire.Message);
    private readonly byte[]? tempId = message.TempId is null ? null : JsonSerializer.SerializeToUtf8Bytes(message.TempId, FeatureJson.Wire.String);
    private Frame? toSender;
    private Frame? toOthers;
    private Frame? updated;

    public Message Message => message;

    // As all may see it, and still open. The tempId is the last of a message's fields, so it can be left away behind.
    private ReadOnlyMemory<byte> Shared => json.AsMemory()[..^(tempId is null ? End.Length : ",\"tempId\":"u8.Length + tempId.Length + End.Length)];

    /// <summary>The frames for one of the conversation's members. Racing encoders are harmless: the bytes are equal.</summary>
    public Frame New(bool isSender) => isSender
        ? toSender ??= Frame.Of<NewMessage>(id: null, Before, json, End)
        : toOthers ??= Frame.Of<NewMessage>(id: null, Before, Shared, Ends);

    /// <summary>See <see cref="New"/>.</summary>
    public Frame Updated()
    {
        if (updated is not null)
            return updated;
        var (conversation, seq) = (new byte[36], new byte[20]);
        Utf8Formatter.TryFormat(message.ConversationId, conversation, out _);
        Utf8Formatter.TryFormat(message.ChangedSeq, seq, out var digits);
        return updated = Frame.Of<ConversationUpdated>(id: null, BeforeUpdated, conversation, BetweenUpdated, Shared, BehindUpdated, seq.AsMemory(0, digits), End);
    }

    /// <summary>The answer to the send that made the change: an event of <typeparamref name="TAnswer"/>'s name with the tempId, empty where there is none, and the message.</summary>
    public Frame Answer<TAnswer>(string? id)
        where TAnswer : IEvent<TAnswer> => Frame.Of<TAnswer>(id, BeforeSent, tempId ?? NoTempId, BetweenSent, json, End);
}

/// <summary>
/// The answer that a connection is to get to its send, in the message's place in the order, whoever brings the message:
/// that is the log, but where the word of a commit was lost, the repair may find the message first.
/// </summary>
/// <param name="connection">Where the send came from.</param>
/// <param name="messageId">What was sent.</param>
/// <param name="answer">Makes the answer.</param>
internal sealed class PendingReply(Connection connection, Guid messageId, Func<Change, Frame> answer)
{
    private const int Sending = 1;
    private const int Withdrawn = 2;
    private readonly TaskCompletionSource sent = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int state;

    public Connection Connection => connection;

    public Guid MessageId => messageId;

    /// <summary>Completes when the answer is in the connection's queue.</summary>
    public Task Sent => sent.Task;

    /// <summary>Sends the answer, once: it may be released early and come up again in its order.</summary>
    /// <returns>False if it was withdrawn.</returns>
    public bool Send(Change change)
    {
        var before = Interlocked.CompareExchange(ref state, Sending, 0);
        if (before == 0)
        {
            connection.Send(answer(change));
            sent.SetResult();
        }

        return before != Withdrawn;
    }

    /// <summary>Another answer is given in its place.</summary>
    /// <returns>False if it was sent already.</returns>
    public bool TryWithdraw() => Interlocked.CompareExchange(ref state, Withdrawn, 0) == 0;
}
