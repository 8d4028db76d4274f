namespace Chat.Invariants;

/// <summary>I7: what reaches devices.</summary>
public static class DeliveryChecks
{
    /// <summary>I7. What a device caught up with when it connected and what was pushed since must be everything.</summary>
    public static IEnumerable<string> DeliveredExactlyOnce(History history)
    {
        // Its own send is not pushed to the connection that acknowledged it, unless it is a repeat there: then the first try
        // came over another connection, and this one was told as any other.
        var ackedOver = SendAttempts.WithoutRetry(history).Where(send => send.Acked is not null).ToLookup(send => send.Connection, send => send.Acked!.Id);
        var stored = history.Conversations.ToDictionary(
            conversation => conversation.Id,
            conversation => history.ViewsOf(conversation).SelectMany(found => found.Messages).DistinctBy(message => message.Id).OrderBy(message => message.Seq).ToArray());
        foreach (var connection in history.Connections)
        {
            var acked = ackedOver[connection.Name].ToHashSet();
            var news = connection.Frames.Where(frame => frame.Type == "message.new").Select(frame => frame.Message!).ToArray();
            foreach (var again in news.GroupBy(message => message.Id).Where(same => same.Count() > 1))
                yield return $"{connection} got {again.First()} {again.Count()} times";
            foreach (var own in news.Where(message => acked.Contains(message.Id)))
                yield return $"{connection} got {own}, which it sent itself, as message.sent and as message.new";
            if (!connection.IsOpen)
                continue;

            var held = connection.Frames.Where(frame => frame.Type is "message.new" or "message.sent").Select(frame => frame.Message!)
                .Concat(connection.CaughtUp).Select(message => message.Id).ToHashSet();
            foreach (var conversation in history.Conversations.Where(conversation => conversation.Members.Contains(connection.UserId)))
            {
                var start = connection.Start.GetValueOrDefault(conversation.Id);
                var missing = stored[conversation.Id].Where(message => message.Seq > start && !held.Contains(message.Id)).ToArray();
                if (missing.Length > 0)
                    yield return $"{connection} is online and lacks {missing.Length} messages past {start}: {string.Join(", ", missing.Take(5).Select(message => message.ToString()))}";
            }
        }
    }
}
