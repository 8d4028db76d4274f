namespace Chat.Invariants;

/// <summary>I15: nobody is left waiting.</summary>
public static class ResponseTimeChecks
{
    /// <summary>
    /// I15. A connection's events are handled one after the other, so its sends are counted from when the one before
    /// was answered. A REST call that gets no answer has lost its connection, which its caller has seen.
    /// </summary>
    public static IEnumerable<string> AnsweredInTime(History history)
    {
        var connections = history.Connections.ToDictionary(connection => connection.Name);
        foreach (var lane in history.Operations.Where(send => send.Request == Request.Send).GroupBy(send => send.Connection))
        {
            var before = TimeSpan.Zero;
            foreach (var send in lane.OrderBy(send => send.Start))
            {
                var from = lane.Key is null || before < send.Start ? send.Start : before;
                var connection = lane.Key is null ? null : connections.GetValueOrDefault(lane.Key);
                var end = send.Response?.At ?? connection?.Ended ?? connection?.Closing;
                if (end is { } at && at - from > history.ResponseTimeout)
                    yield return $"{(send.Response is null ? "no answer, and the socket was closed" : "the answer came")} after {(at - from).TotalMilliseconds:0} ms ({send})";
                else if (end is null && connection is not null)
                    yield return $"no answer, and the socket is open ({send})";
                before = end is { } done && done > before ? done : before;
            }
        }
    }
}
