namespace Chat.Invariants;

/// <summary>The sends of a history, by what they try to store: all tries under one tempId are one send.</summary>
internal static class SendAttempts
{
    /// <summary>The tries of each send. A try without a tempId stands for itself.</summary>
    public static IEnumerable<IReadOnlyList<Operation>> BySend(History history) => history.Operations
        .Where(operation => operation.Request == Request.Send)
        .GroupBy(send => (send.UserId, send.ConversationId, Key: send.TempId is null ? (object)send : send.TempId))
        .Select(tries => (IReadOnlyList<Operation>)[.. tries.OrderBy(send => send.Start)]);

    /// <summary>The sends that were tried once only: their ack is in the message's own place in the order.</summary>
    public static IEnumerable<Operation> WithoutRetry(History history) => BySend(history).Where(tries => tries.Count == 1).Select(tries => tries[0]);

    /// <summary>Whether a stored message may have come from this try.</summary>
    public static bool MayHaveStored(this Operation send, Message message) =>
        send.UserId == message.SenderId
        && send.ConversationId == message.ConversationId
        && send.Content == message.Content
        && (message.TempId is null || message.TempId == send.TempId);

    /// <summary>Whether the answer leaves it open that the message is stored: it says so, or there is none.</summary>
    public static bool MayBeStored(this Operation send) => send.Response is not { IsError: true };

    /// <summary>Every message in every view.</summary>
    public static IEnumerable<Message> StoredMessages(this History history) => history.Views.SelectMany(view => view.Messages.Values).SelectMany(messages => messages);

    /// <summary>Every message that was brought to a connection or fetched by it, with who was shown it.</summary>
    public static IEnumerable<(Connection Connection, Message Message)> ReceivedMessages(this History history) =>
        from connection in history.Connections
        from message in connection.Frames.Select(frame => frame.Message).OfType<Message>().Concat(connection.CaughtUp)
        select (connection, message);

    /// <summary>The histories of a conversation, as each member sees it from each node.</summary>
    public static IEnumerable<(View View, IReadOnlyList<Message> Messages)> ViewsOf(this History history, Conversation conversation) =>
        history.Views.Where(view => conversation.Members.Contains(view.UserId))
            .Select(view => (view, view.Messages.TryGetValue(conversation.Id, out var messages) ? messages : []));
}
