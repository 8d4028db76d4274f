namespace Chat.Invariants;

/// <summary>Checks I1 to I4: stored messages.</summary>
public static class StorageChecks
{
    /// <summary>I1. Every acknowledged message is in the history of every member.</summary>
    public static IEnumerable<string> AcknowledgedIsStored(History history)
    {
        var stored = history.Conversations.ToDictionary(
            conversation => conversation.Id,
            conversation => history.ViewsOf(conversation)
                .Select(found => (found.View, Ids: found.Messages.Select(message => message.Id).ToHashSet())).ToArray());
        return
            from send in history.Operations
            where send.Acked is not null
            from view in stored[send.ConversationId!.Value]
            where !view.Ids.Contains(send.Acked!.Id)
            select $"{send.Acked} was acknowledged and is missing from the history of {view.View} ({send})";
    }

    /// <summary>I2. No message is stored twice.</summary>
    public static IEnumerable<string> NoDuplicates(History history)
    {
        // A client may send the same text several times; it may then be stored as often as it was sent.
        var sent = SendAttempts.BySend(history)
            .SelectMany(attempts => attempts.Select(send => (send.UserId, send.ConversationId, send.Content)).Distinct())
            .GroupBy(send => send)
            .ToDictionary(same => same.Key, same => same.Count());
        foreach (var (view, messages) in history.Conversations.SelectMany(history.ViewsOf))
        {
            foreach (var same in messages.GroupBy(message => message.Id).Where(same => same.Count() > 1))
                yield return $"{same.First()} is listed {same.Count()} times ({view})";
            foreach (var same in messages.Where(message => message.TempId is not null)
                .GroupBy(message => (message.SenderId, message.TempId)).Where(same => same.Count() > 1))
                yield return $"tempId {same.Key.TempId} is stored {same.Count()} times: {string.Join(", ", same)} ({view})";
            foreach (var same in messages.Where(message => message.TempId is null)
                .GroupBy(message => (message.SenderId, (Guid?)message.ConversationId, message.Content)))
            {
                if (sent.TryGetValue(same.Key, out var times) && same.Count() > times)
                    yield return $"{same.First()} is stored {same.Count()} times and was sent {times} times ({view})";
            }
        }
    }

    /// <summary>I3. Every message was sent by its sender.</summary>
    public static IEnumerable<string> EveryMessageWasSent(History history)
    {
        var sends =
            history.Operations.Where(operation => operation.Request == Request.Send).ToLookup(send => (send.UserId, send.ConversationId));
        return history.StoredMessages().Concat(history.ReceivedMessages().Select(received => received.Message)).Distinct()
            .Where(message => !sends[(message.SenderId, message.ConversationId)].Any(send => send.MayHaveStored(message)))
            .Select(message => $"{message} was never sent");
    }

    /// <summary>I4. Sequence numbers are contiguous from 1, and the conversation's counter matches.</summary>
    public static IEnumerable<string> SequenceHasNoGaps(History history)
    {
        foreach (var conversation in history.Conversations)
        {
            foreach (var (view, messages) in history.ViewsOf(conversation))
            {
                for (var i = 0; i < messages.Count; i++)
                {
                    if (messages[i].Seq == i + 1)
                        continue;
                    yield return $"sequence number {i + 1} of {ShortId.Of(conversation.Id)} is {messages[i]} ({view})";
                    break;
                }

                if (view.Conversations.TryGetValue(conversation.Id, out var shown)
                    && (shown.Seq, shown.LastMessageId) != (messages.Count, messages is [.., var last] ? last.Id : null as Guid?))
                    yield return $"{ShortId.Of(conversation.Id)} has {messages.Count} messages but its sequence number is {shown.Seq} "
                        + $"({view})";
            }
        }
    }
}
