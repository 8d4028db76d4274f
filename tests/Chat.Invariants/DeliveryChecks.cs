namespace Chat.Invariants;

/// <summary>Checks I7: delivery to devices.</summary>
public static class DeliveryChecks
{
    /// <summary>
    /// I7. No connection receives a message twice, and the messages that a device synced on connect together with those
    /// pushed since are complete.
    /// </summary>
    public static IEnumerable<string> DeliveredExactlyOnce(History history)
    {
        // A message is not pushed to the connection on which it was acknowledged. A retry is an exception: the first attempt
        // went over another connection, so the retry's connection gets the push like any other.
        var ackedOn = SendAttempts.WithoutRetry(history).Where(send => send.Acked is not null)
            .ToLookup(send => send.Connection, send => send.Acked!.Id);
        var stored = history.Conversations.ToDictionary(
            conversation => conversation.Id,
            conversation => history.ViewsOf(conversation).SelectMany(found => found.Messages).DistinctBy(message => message.Id)
                .OrderBy(message => message.Seq).ToArray());
        foreach (var connection in history.Connections)
        {
            var acked = ackedOn[connection.Name].ToHashSet();
            var pushed = connection.Frames.Where(frame => frame.Type == "message.new").Select(frame => frame.Message!).ToArray();
            foreach (var duplicates in pushed.GroupBy(message => message.Id).Where(same => same.Count() > 1))
                yield return $"{connection} received {duplicates.First()} {duplicates.Count()} times";
            foreach (var own in pushed.Where(message => acked.Contains(message.Id)))
                yield return $"{connection} sent {own} and received it both as message.sent and as message.new";
            if (!connection.IsOpen)
                continue;

            var received = connection.Frames.Where(frame => frame.Type is "message.new" or "message.sent").Select(frame => frame.Message!)
                .Concat(connection.CaughtUp).Select(message => message.Id).ToHashSet();
            foreach (var conversation in history.Conversations.Where(conversation => conversation.Members.Contains(connection.UserId)))
            {
                var start = connection.Start.GetValueOrDefault(conversation.Id);
                var missing = stored[conversation.Id].Where(message => message.Seq > start && !received.Contains(message.Id)).ToArray();
                if (missing.Length > 0)
                    yield return $"{connection} is online and misses {missing.Length} messages after {start}: "
                        + $"{string.Join(", ", missing.Take(5).Select(message => message.ToString()))}";
            }
        }
    }
}
