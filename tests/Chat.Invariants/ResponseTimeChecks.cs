namespace Chat.Invariants;

/// <summary>Checks I15: no send waits forever.</summary>
public static class ResponseTimeChecks
{
    /// <summary>
    /// I15. The server handles a connection's events one at a time, so a send's time starts when the previous one was
    /// answered. A REST call without a response has lost its connection, which its caller noticed.
    /// </summary>
    public static IEnumerable<string> AnsweredInTime(History history)
    {
        var connections = history.Connections.ToDictionary(connection => connection.Name);
        foreach (var sends in history.Operations.Where(send => send.Request == Request.Send).GroupBy(send => send.Connection))
        {
            var previousEnd = TimeSpan.Zero;
            foreach (var send in sends.OrderBy(send => send.Start))
            {
                var from = sends.Key is null || previousEnd < send.Start ? send.Start : previousEnd;
                var connection = sends.Key is null ? null : connections.GetValueOrDefault(sends.Key);
                var end = send.Response?.At ?? connection?.Ended ?? connection?.Closing;
                if (end is { } at && at - from > history.ResponseTimeout)
                    yield return $"{(send.Response is null ? "no response, and the socket was closed" : "the response came")} after "
                        + $"{(at - from).TotalMilliseconds:0} ms ({send})";
                else if (end is null && connection is not null)
                    yield return $"no response on an open socket ({send})";
                previousEnd = end is { } done && done > previousEnd ? done : previousEnd;
            }
        }
    }
}
