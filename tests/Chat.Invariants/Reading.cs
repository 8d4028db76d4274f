namespace Chat.Invariants;

/// <summary>I10: cursors, and the counts that follow from them.</summary>
public static class Reading
{
    /// <summary>I10.</summary>
    public static IEnumerable<string> UnreadFollowsFromTheCursors(History history) =>
        InViews(history).Concat(OnConnections(history)).Concat(NeverBack(history));

    private static IEnumerable<string> InViews(History history)
    {
        foreach (var view in history.Views)
        {
            foreach (var shown in view.Conversations.Values)
            {
                var readUpTo = shown.Cursors[view.UserId].ReadUpTo;
                var count = view.Messages[shown.Id].Count(message => message.SenderId != view.UserId && message.Seq > readUpTo);
                if (shown.Unread != count)
                    yield return $"{view}: {count} messages of {Short.Of(shown.Id)} are past the cursor at {readUpTo}, and the list says {shown.Unread}";
                if (view.Unread.GetValueOrDefault(shown.Id) != count)
                    yield return $"{view}: {count} messages of {Short.Of(shown.Id)} are past the cursor at {readUpTo}, and the summary says {view.Unread.GetValueOrDefault(shown.Id)}";
                if (shown.Cursors.FirstOrDefault(member => member.Value.DeliveredUpTo < member.Value.ReadUpTo || member.Value.DeliveredUpTo > shown.Seq) is { Value: not null } odd)
                    yield return $"{view}: the cursors of {Short.Of(odd.Key)} in {Short.Of(shown.Id)} are {odd.Value} of {shown.Seq}";
            }

            if (view.TotalUnread != view.Unread.Values.Sum())
                yield return $"{view}: the total is {view.TotalUnread}, the parts are {string.Join(" + ", view.Unread.Values)}";
        }
    }

    private static IEnumerable<string> OnConnections(History history)
    {
        foreach (var (connection, replica, fresh) in Replica.OfOpenConnections(history))
        {
            foreach (var shown in fresh.Conversations.Values)
            {
                if (replica.Unread.GetValueOrDefault(shown.Id) != shown.Unread)
                    yield return $"{connection} was told {replica.Unread.GetValueOrDefault(shown.Id)} unread in {Short.Of(shown.Id)}, and there are {shown.Unread}";
            }

            if (replica.TotalUnread != fresh.TotalUnread)
                yield return $"{connection} was told {replica.TotalUnread} unread in all, and there are {fresh.TotalUnread}";
        }
    }

    // In real time: what was answered before the next request began. What is pushed has no such order between nodes,
    // so receivers take the larger number; that they then have the right one is I12's.
    private static IEnumerable<string> NeverBack(History history)
    {
        foreach (var own in history.Operations
            .Where(operation => operation is { Request: Request.Read or Request.List, Answer.IsError: false })
            .SelectMany(Cursors)
            .GroupBy(seen => (seen.Operation.UserId, seen.ConversationId)))
        {
            var final = history.Views.Where(view => view.UserId == own.Key.UserId).Select(view => view.Conversations.GetValueOrDefault(own.Key.ConversationId)?.Cursors[own.Key.UserId].ReadUpTo).Min();
            foreach (var seen in own)
            {
                if (own.FirstOrDefault(later => later.Operation.Start > seen.Operation.Answer!.At && later.ReadUpTo < seen.ReadUpTo) is { Operation: not null } back)
                    yield return $"the cursor of {Short.Of(own.Key.UserId)} in {Short.Of(own.Key.ConversationId)} went from {seen.ReadUpTo} back to {back.ReadUpTo} ({back.Operation})";
                if (final < seen.ReadUpTo)
                    yield return $"the cursor of {Short.Of(own.Key.UserId)} in {Short.Of(own.Key.ConversationId)} was at {seen.ReadUpTo} and is at {final} ({seen.Operation})";
            }
        }
    }

    private static IEnumerable<(Operation Operation, Guid ConversationId, long ReadUpTo)> Cursors(Operation operation) => operation.Request == Request.Read
        ? [(operation, operation.ConversationId!.Value, operation.Answer!.Payload.GetProperty("upTo").GetInt64())]
        : operation.Answer!.Payload.GetProperty("conversations").EnumerateArray().Select(Shown.Read)
            .Select(shown => (operation, shown.Id, shown.Cursors[operation.UserId].ReadUpTo));
}
