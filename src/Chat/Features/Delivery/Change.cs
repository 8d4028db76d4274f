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
