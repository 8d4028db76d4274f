namespace Chat.Invariants;

/// <summary>Groups the send operations of a history: attempts with the same tempId are one send.</summary>
internal static class SendAttempts
{
    /// <summary>Returns the attempts of each send, in order. An attempt without a tempId is a send of its own.</summary>
    public static IEnumerable<IReadOnlyList<Operation>> BySend(History history) => history.Operations
        .Where(operation => operation.Request == Request.Send)
        .GroupBy(send => (send.UserId, send.ConversationId, Key: send.TempId is null ? (object)send : send.TempId))
        .Select(attempts => (IReadOnlyList<Operation>)[.. attempts.OrderBy(send => send.Start)]);

    /// <summary>Returns the sends with a single attempt: only their ack is at the message's position in the order.</summary>
    public static IEnumerable<Operation> WithoutRetry(History history) =>
        BySend(history).Where(attempts => attempts.Count == 1).Select(attempts => attempts[0]);

    /// <summary>Returns whether a stored message may result from this attempt.</summary>
    public static bool MayHaveStored(this Operation send, Message message) =>
        send.UserId == message.SenderId
        && send.ConversationId == message.ConversationId
        && send.Content == message.Content
        && (message.TempId is null || message.TempId == send.TempId);

    /// <summary>Returns whether the message may be stored: it was acknowledged, or there was no response.</summary>
    public static bool MayBeStored(this Operation send) => send.Response is not { IsError: true };

    /// <summary>Returns every message of every view.</summary>
    public static IEnumerable<Message> StoredMessages(this History history) =>
        history.Views.SelectMany(view => view.Messages.Values).SelectMany(messages => messages);

    /// <summary>Returns every message that was pushed to a connection or fetched by it.</summary>
    public static IEnumerable<(Connection Connection, Message Message)> ReceivedMessages(this History history) =>
        from connection in history.Connections
        from message in connection.Frames.Select(frame => frame.Message).OfType<Message>().Concat(connection.CaughtUp)
        select (connection, message);

    /// <summary>Returns the messages of a conversation, as each member reads them from each node.</summary>
    public static IEnumerable<(View View, IReadOnlyList<Message> Messages)> ViewsOf(this History history, Conversation conversation) =>
        history.Views.Where(view => conversation.Members.Contains(view.UserId))
            .Select(view => (view, view.Messages.TryGetValue(conversation.Id, out var messages) ? messages : []));
}
