namespace Chat.Invariants;

/// <summary>I10: cursors, and the counts that follow from them.</summary>
public static class UnreadChecks
{
    /// <summary>I10.</summary>
    public static IEnumerable<string> UnreadMatchesCursors(History history) =>
        CountsInViews(history).Concat(CountsOnConnections(history)).Concat(CursorsNeverRegress(history));

    private static IEnumerable<string> CountsInViews(History history)
    {
        foreach (var view in history.Views)
        {
            foreach (var shown in view.Conversations.Values)
            {
                var readUpTo = shown.Cursors[view.UserId].ReadUpTo;
                var count = view.Messages[shown.Id].Count(message => message.SenderId != view.UserId && message.Seq > readUpTo);
                if (shown.Unread != count)
                    yield return $"{view}: {count} messages of {ShortId.Of(shown.Id)} are past the cursor at {readUpTo}, and the list says {shown.Unread}";
                if (view.Unread.GetValueOrDefault(shown.Id) != count)
                    yield return $"{view}: {count} messages of {ShortId.Of(shown.Id)} are past the cursor at {readUpTo}, and the summary says {view.Unread.GetValueOrDefault(shown.Id)}";
                if (shown.Cursors.FirstOrDefault(member => member.Value.DeliveredUpTo < member.Value.ReadUpTo || member.Value.DeliveredUpTo > shown.Seq) is { Value: not null } odd)
                    yield return $"{view}: the cursors of {ShortId.Of(odd.Key)} in {ShortId.Of(shown.Id)} are {odd.Value} of {shown.Seq}";
            }

            if (view.TotalUnread != view.Unread.Values.Sum())
                yield return $"{view}: the total is {view.TotalUnread}, the parts are {string.Join(" + ", view.Unread.Values)}";
        }
    }

    private static IEnumerable<string> CountsOnConnections(History history)
    {
        foreach (var (connection, replica, fresh) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var shown in fresh.Conversations.Values)
            {
                if (replica.Unread.GetValueOrDefault(shown.Id) != shown.Unread)
                    yield return $"{connection} was told {replica.Unread.GetValueOrDefault(shown.Id)} unread in {ShortId.Of(shown.Id)}, and there are {shown.Unread}";
            }

            if (replica.TotalUnread != fresh.TotalUnread)
                yield return $"{connection} was told {replica.TotalUnread} unread in all, and there are {fresh.TotalUnread}";
        }
    }

    // In real time: what was answered before the next request began. What is pushed has no such order between nodes,
    // so receivers take the larger number; that they then have the right one is I12's.
    private static IEnumerable<string> CursorsNeverRegress(History history)
    {
        foreach (var own in history.Operations
            .Where(operation => operation is { Request: Request.Read or Request.List, Response.IsError: false })
            .SelectMany(Cursors)
            .GroupBy(seen => (seen.Operation.UserId, seen.ConversationId)))
        {
            var final = history.Views.Where(view => view.UserId == own.Key.UserId).Select(view => view.Conversations.GetValueOrDefault(own.Key.ConversationId)?.Cursors[own.Key.UserId].ReadUpTo).Min();
            foreach (var seen in own)
            {
                if (own.FirstOrDefault(later => later.Operation.Start > seen.Operation.Response!.At && later.ReadUpTo < seen.ReadUpTo) is { Operation: not null } back)
                    yield return $"the cursor of {ShortId.Of(own.Key.UserId)} in {ShortId.Of(own.Key.ConversationId)} went from {seen.ReadUpTo} back to {back.ReadUpTo} ({back.Operation})";
                if (final < seen.ReadUpTo)
                    yield return $"the cursor of {ShortId.Of(own.Key.UserId)} in {ShortId.Of(own.Key.ConversationId)} was at {seen.ReadUpTo} and is at {final} ({seen.Operation})";
            }
        }
    }

    private static IEnumerable<(Operation Operation, Guid ConversationId, long ReadUpTo)> Cursors(Operation operation) => operation.Request == Request.Read
        ? [(operation, operation.ConversationId!.Value, operation.Response!.Payload.GetProperty("upTo").GetInt64())]
        : operation.Response!.Payload.GetProperty("conversations").EnumerateArray().Select(ConversationView.Read)
            .Select(shown => (operation, shown.Id, shown.Cursors[operation.UserId].ReadUpTo));
}
