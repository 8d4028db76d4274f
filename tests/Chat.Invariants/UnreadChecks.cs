namespace Chat.Invariants;

/// <summary>Checks I10: read cursors and unread counts.</summary>
public static class UnreadChecks
{
    /// <summary>I10. Unread counts follow from the cursors, and cursors never regress.</summary>
    public static IEnumerable<string> UnreadMatchesCursors(History history) =>
        CountsInViews(history).Concat(CountsOnConnections(history)).Concat(CursorsNeverRegress(history));

    private static IEnumerable<string> CountsInViews(History history)
    {
        foreach (var view in history.Views)
        {
            foreach (var conversation in view.Conversations.Values)
            {
                var (id, readUpTo) = (ShortId.Of(conversation.Id), conversation.Cursors[view.UserId].ReadUpTo);
                var count = view.Messages[conversation.Id].Count(message => message.SenderId != view.UserId && message.Seq > readUpTo);
                if (conversation.Unread != count)
                    yield return $"{view}: {count} messages of {id} are after the cursor at {readUpTo}, but the list has "
                        + $"{conversation.Unread}";
                if (view.Unread.GetValueOrDefault(conversation.Id) != count)
                    yield return $"{view}: {count} messages of {id} are after the cursor at {readUpTo}, but the summary has "
                        + $"{view.Unread.GetValueOrDefault(conversation.Id)}";
                if (conversation.Cursors.FirstOrDefault(member =>
                    member.Value.DeliveredUpTo < member.Value.ReadUpTo
                        || member.Value.DeliveredUpTo > conversation.Seq) is { Value: not null } invalid)
                    yield return $"{view}: the cursors of {ShortId.Of(invalid.Key)} in {id} are {invalid.Value} of {conversation.Seq}";
            }

            if (view.TotalUnread != view.Unread.Values.Sum())
                yield return $"{view}: the total is {view.TotalUnread}, the parts are {string.Join(" + ", view.Unread.Values)}";
        }
    }

    private static IEnumerable<string> CountsOnConnections(History history)
    {
        foreach (var (connection, state, current) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var conversation in current.Conversations.Values)
            {
                if (state.Unread.GetValueOrDefault(conversation.Id) != conversation.Unread)
                    yield return $"{connection} was notified of {state.Unread.GetValueOrDefault(conversation.Id)} unread in "
                        + $"{ShortId.Of(conversation.Id)}, but there are {conversation.Unread}";
            }

            if (state.TotalUnread != current.TotalUnread)
                yield return $"{connection} was notified of {state.TotalUnread} unread in total, but there are {current.TotalUnread}";
        }
    }

    // Compares responses with requests that started after them. Pushes have no such order between nodes, so receivers keep
    // the maximum; I12 checks that it is the right one.
    private static IEnumerable<string> CursorsNeverRegress(History history)
    {
        foreach (var reads in history.Operations
            .Where(operation => operation is { Request: Request.Read or Request.List, Response.IsError: false })
            .SelectMany(Cursors)
            .GroupBy(read => (read.Operation.UserId, read.ConversationId)))
        {
            var (userId, conversationId) = reads.Key;
            var final = history.Views.Where(view => view.UserId == userId)
                .Select(view => view.Conversations.GetValueOrDefault(conversationId)?.Cursors[userId].ReadUpTo).Min();
            foreach (var read in reads)
            {
                if (reads.FirstOrDefault(later => later.Operation.Start > read.Operation.Response!.At
                    && later.ReadUpTo < read.ReadUpTo) is { Operation: not null } regressed)
                    yield return $"the cursor of {ShortId.Of(userId)} in {ShortId.Of(conversationId)} regressed from {read.ReadUpTo} to "
                        + $"{regressed.ReadUpTo} ({regressed.Operation})";
                if (final < read.ReadUpTo)
                    yield return $"the cursor of {ShortId.Of(userId)} in {ShortId.Of(conversationId)} was at {read.ReadUpTo} and is at "
                        + $"{final} ({read.Operation})";
            }
        }
    }

    private static IEnumerable<(Operation Operation, Guid ConversationId, long ReadUpTo)> Cursors(Operation operation) =>
        operation.Request == Request.Read
        ? [(operation, operation.ConversationId!.Value, operation.Response!.Payload.GetProperty("upTo").GetInt64())]
        : operation.Response!.Payload.GetProperty("conversations").EnumerateArray().Select(ConversationView.Read)
            .Select(conversation => (operation, conversation.Id, conversation.Cursors[operation.UserId].ReadUpTo));
}
