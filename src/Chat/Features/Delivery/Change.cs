using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>One numbered change of a conversation on its way to people, with its frames, each encoded at most once.</summary>
/// <param name="message">The message in its present state, tempId included.</param>
internal sealed class Change(Message message)
{
    private Frame? toSender;
    private Frame? toOthers;
    private Frame? updated;

    public Message Message => message;

    /// <summary>The frames for one of the conversation's members. Racing encoders are harmless: the bytes are equal.</summary>
    public Frame New(bool isSender) => isSender
        ? toSender ??= Frame.Of(new MessageArrived(message))
        : toOthers ??= Frame.Of(new MessageArrived(message.For(Guid.Empty)));

    public Frame Updated() =>
        updated ??= Frame.Of(new ConversationUpdated(message.ConversationId, message.For(Guid.Empty), message.ChangedSeq));
}

/// <summary>
/// The answer that a connection is to get to its send, in the message's place in the order, whoever brings the message:
/// that is the log, but where the word of a commit was lost, the repair may find the message first.
/// </summary>
/// <param name="connection">Where the send came from.</param>
/// <param name="messageId">What was sent.</param>
/// <param name="answer">Makes the answer.</param>
internal sealed class PendingReply(Connection connection, Guid messageId, Func<Message, Frame> answer)
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
    public bool Send(Message message)
    {
        var before = Interlocked.CompareExchange(ref state, Sending, 0);
        if (before == 0)
        {
            connection.Send(answer(message));
            sent.SetResult();
        }

        return before != Withdrawn;
    }

    /// <summary>Another answer is given in its place.</summary>
    /// <returns>False if it was sent already.</returns>
    public bool TryWithdraw() => Interlocked.CompareExchange(ref state, Withdrawn, 0) == 0;
}
