namespace Chat.Invariants;

/// <summary>I5 and I6: one order, and the one in which somebody sent.</summary>
public static class OrderingChecks
{
    /// <summary>I5. Direct replies are not part of it: a repeat is answered when it comes, and the ack itself is I8's.</summary>
    public static IEnumerable<string> SameOrderEverywhere(History history)
    {
        foreach (var connection in history.Connections)
        {
            foreach (var lane in connection.Frames.Where(frame => frame.Id is null && frame.Message is not null).GroupBy(frame => (frame.Type, frame.Message!.ConversationId)))
            {
                var last = 0L;
                foreach (var frame in lane)
                {
                    if (frame.Message!.Seq < last)
                        yield return $"{connection} got {lane.Key.Type} {frame.Message} after number {last}";
                    last = Math.Max(last, frame.Message.Seq);
                }
            }
        }

        var pushed = history.Connections.SelectMany(connection => connection.Frames).Where(frame => frame.Id is null).Select(frame => frame.Message).OfType<Message>();
        var all = history.StoredMessages().Concat(pushed).Concat(history.Connections.SelectMany(connection => connection.CaughtUp)).ToArray();
        foreach (var number in all.GroupBy(message => (message.ConversationId, message.Seq)).Where(same => same.DistinctBy(message => message.Id).Skip(1).Any()))
            yield return $"number {number.Key.Seq} of {ShortId.Of(number.Key.ConversationId)} is {string.Join(" for one and ", number.DistinctBy(message => message.Id))} for another";
        foreach (var message in all.GroupBy(message => message.Id).Where(same => same.DistinctBy(message => message.Seq).Skip(1).Any()))
            yield return $"{message.First()} has the numbers {string.Join(" and ", message.Select(shown => shown.Seq).Distinct())}";
    }

    /// <summary>I6. Of sends that were tried once: a repeat has the number of its first try, wherever that was.</summary>
    public static IEnumerable<string> SendsKeepOrder(History history)
    {
        var numbers = history.StoredMessages().DistinctBy(message => message.Id).ToDictionary(message => message.Id, message => message.Seq);
        foreach (var lane in SendAttempts.WithoutRetry(history)
            .Where(send => send.Connection is not null && send.Acked is { } acked && numbers.ContainsKey(acked.Id))
            .GroupBy(send => (send.Connection, send.ConversationId)))
        {
            var sends = lane.OrderBy(send => send.Start).ToArray();
            foreach (var (earlier, later) in sends.Zip(sends.Skip(1)))
            {
                if (numbers[earlier.Acked!.Id] > numbers[later.Acked!.Id])
                    yield return $"{later.Acked} was sent after {earlier.Acked} over {lane.Key.Connection}";
            }
        }
    }
}
