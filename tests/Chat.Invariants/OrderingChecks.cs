namespace Chat.Invariants;

/// <summary>Checks I5 and I6: message order.</summary>
public static class OrderingChecks
{
    /// <summary>
    /// I5. Direct replies are exempt: a retry is answered whenever it arrives, and I8 checks the ack itself.
    /// </summary>
    public static IEnumerable<string> SameOrderEverywhere(History history)
    {
        foreach (var connection in history.Connections)
        {
            foreach (var frames in connection.Frames.Where(frame => frame.Id is null && frame.Message is not null)
                .GroupBy(frame => (frame.Type, frame.Message!.ConversationId)))
            {
                var last = 0L;
                foreach (var frame in frames)
                {
                    if (frame.Message!.Seq < last)
                        yield return $"{connection} received {frames.Key.Type} {frame.Message} after sequence number {last}";
                    last = Math.Max(last, frame.Message.Seq);
                }
            }
        }

        var pushed = history.Connections.SelectMany(connection => connection.Frames).Where(frame => frame.Id is null)
            .Select(frame => frame.Message).OfType<Message>();
        var all =
            history.StoredMessages().Concat(pushed).Concat(history.Connections.SelectMany(connection => connection.CaughtUp)).ToArray();
        foreach (var number in all.GroupBy(message => (message.ConversationId, message.Seq))
            .Where(same => same.DistinctBy(message => message.Id).Skip(1).Any()))
            yield return $"sequence number {number.Key.Seq} of {ShortId.Of(number.Key.ConversationId)} was seen as "
                + $"{string.Join(" and as ", number.DistinctBy(message => message.Id))}";
        foreach (var message in all.GroupBy(message => message.Id).Where(same => same.DistinctBy(message => message.Seq).Skip(1).Any()))
            yield return $"{message.First()} has the sequence numbers "
                + $"{string.Join(" and ", message.Select(shown => shown.Seq).Distinct())}";
    }

    /// <summary>
    /// I6, for sends without a retry: a retry has the sequence number of the first attempt, on whichever connection that was.
    /// </summary>
    public static IEnumerable<string> SendsKeepOrder(History history)
    {
        var numbers =
            history.StoredMessages().DistinctBy(message => message.Id).ToDictionary(message => message.Id, message => message.Seq);
        foreach (var group in SendAttempts.WithoutRetry(history)
            .Where(send => send.Connection is not null && send.Acked is { } acked && numbers.ContainsKey(acked.Id))
            .GroupBy(send => (send.Connection, send.ConversationId)))
        {
            var sends = group.OrderBy(send => send.Start).ToArray();
            foreach (var (earlier, later) in sends.Zip(sends.Skip(1)))
            {
                if (numbers[earlier.Acked!.Id] > numbers[later.Acked!.Id])
                    yield return $"{later.Acked} was sent after {earlier.Acked} on {group.Key.Connection}";
            }
        }
    }
}
