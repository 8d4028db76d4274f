using System.Buffers.Text;
using System.Text.Json;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// A numbered change of a conversation. The message is serialized once and shared by all of its frames, each of which is built
/// at most once: serialization is the largest cost per message.
/// </summary>
/// <param name="message">The message in its current state, including the tempId.</param>
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
    private readonly byte[]? tempId = message.TempId is null
        ? null : JsonSerializer.SerializeToUtf8Bytes(message.TempId, FeatureJson.Wire.String);
    private Frame? toSender;
    private Frame? toOthers;
    private Frame? updated;

    public Message Message => message;

    // Without the tempId and the closing brace. The tempId is the last field of a message, so truncation removes it.
    private ReadOnlyMemory<byte> Shared =>
        json.AsMemory()[..^(tempId is null ? End.Length : ",\"tempId\":"u8.Length + tempId.Length + End.Length)];

    /// <summary>Returns the message.new frame for a member. Racing threads may build it twice; the bytes are equal.</summary>
    public Frame New(bool isSender) => isSender
        ? toSender ??= Frame.Of<NewMessage>(id: null, Before, json, End)
        : toOthers ??= Frame.Of<NewMessage>(id: null, Before, Shared, Ends);

    /// <summary>Returns the conversation.updated frame; see <see cref="New"/>.</summary>
    public Frame Updated()
    {
        if (updated is not null)
            return updated;
        var (conversation, seq) = (new byte[36], new byte[20]);
        Utf8Formatter.TryFormat(message.ConversationId, conversation, out _);
        Utf8Formatter.TryFormat(message.ChangedSeq, seq, out var digits);
        return updated = Frame.Of<ConversationUpdated>(
            id: null, BeforeUpdated, conversation, BetweenUpdated, Shared, BehindUpdated, seq.AsMemory(0, digits), End);
    }

    /// <summary>
    /// Builds the reply to the send that made the change: an event named after <typeparamref name="TAnswer"/> with the tempId
    /// (or an empty one) and the message.
    /// </summary>
    public Frame Answer<TAnswer>(string? id)
        where TAnswer : IEvent<TAnswer> => Frame.Of<TAnswer>(id, BeforeSent, tempId ?? NoTempId, BetweenSent, json, End);
}

/// <summary>
/// The reply that a connection is owed for its send. It is sent at the message's position in the order, whichever component
/// offers the message first: usually the log, but after a commit whose confirmation was lost, the repair may find it first.
/// </summary>
/// <param name="connection">The connection that sent the message.</param>
/// <param name="messageId">The id of the message.</param>
/// <param name="answer">Builds the reply.</param>
internal sealed class PendingReply(Connection connection, Guid messageId, Func<Change, Frame> answer)
{
    private const int Sending = 1;
    private const int Withdrawn = 2;
    private readonly TaskCompletionSource sent = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int state;

    public Connection Connection => connection;

    public Guid MessageId => messageId;

    /// <summary>Completes when the reply has been enqueued on the connection.</summary>
    public Task Sent => sent.Task;

    /// <summary>Sends the reply, at most once: it may be released early and be reached again in order.</summary>
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

    /// <summary>Withdraws the reply, because another one is sent instead.</summary>
    /// <returns>False if it was already sent.</returns>
    public bool TryWithdraw() => Interlocked.CompareExchange(ref state, Withdrawn, 0) == 0;
}
