namespace Chat.Invariants;

/// <summary>I11: who is there.</summary>
public static class PresenceChecks
{
    /// <summary>I11.</summary>
    public static IEnumerable<string> PresenceConverges(History history)
    {
        var online = history.Connections.Where(connection => connection.IsOpen).Select(connection => connection.UserId).ToHashSet();
        bool IsSeen(Guid by, Guid about) => online.Contains(about) && !BlockTimeline.IsBlockedAtEnd(history, by, about);

        foreach (var view in history.Views)
        {
            foreach (var (about, told) in view.Presence.Where(status => status.Value != IsSeen(view.UserId, status.Key)))
                yield return $"GET presence tells {view} that {ShortId.Of(about)} is {Status(told)}";
        }

        foreach (var (connection, replica, _) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var (about, told) in replica.Online.Where(status => status.Value != IsSeen(connection.UserId, status.Key)))
                yield return $"{connection} was told at last that {ShortId.Of(about)} is {Status(told)} ({Trace(history, connection, about)})";
        }

        foreach (var connection in history.Connections)
        {
            foreach (var about in connection.Frames.Where(frame => frame.Type is "user.online" or "user.offline").GroupBy(frame => (UserId: frame.GetGuid("userId"), frame.Type)))
            {
                var (told, toOnline) = (0, about.Key.Type == "user.online");
                var changes = PossibleTransitions(history, connection.UserId, about.Key.UserId, toOnline).Where(at => at > connection.Opening - history.PresenceLag).ToArray();
                foreach (var frame in about)
                {
                    if (++told > changes.Count(at => at <= frame.At))
                        yield return $"{connection} was told {frame.Type} of {ShortId.Of(about.Key.UserId)} for the {told}. time at {frame.At.TotalMilliseconds:0} ms, and it did not happen that often";
                }
            }
        }
    }

    // When somebody may have come, or gone, as another sees it. A connection that comes or goes while another one of
    // theirs is certainly there, long enough for its node to have noticed, changes nothing; a block may. Nodes leave
    // out what is over before they could tell it, so that the same may be told twice in a row if it happened twice.
    private static IEnumerable<TimeSpan> PossibleTransitions(History history, Guid to, Guid about, bool toOnline)
    {
        var own = history.Connections.Where(connection => connection.UserId == about).ToArray();
        var moments = toOnline
            ? own.Select(connection => (connection, From: connection.Opening, To: Opened(connection) + history.PresenceLag, Noticed: TimeSpan.Zero))
            : own.Where(connection => !connection.IsOpen).Select(connection => (connection, From: connection.Closing!.Value, To: connection.Closing.Value + history.PresenceLag, Noticed: history.PresenceLag));
        return moments
            .Where(moment => !own.Any(other => other != moment.connection && Opened(other) + moment.Noticed <= moment.From && (other.Closing is not { } closing || closing > moment.To)))
            .Select(moment => moment.From)
            .Concat(BlockTimeline.PossibleChanges(history, to, about, isEnd: toOnline));
    }

    private static TimeSpan Opened(Connection connection) => connection.Frames.Count > 0 ? connection.Frames[0].At : connection.Opening;

    // What helps to find out why: what was told last, and what happened last.
    private static string Trace(History history, Connection connection, Guid about)
    {
        var told = connection.Frames.Where(frame => frame.Type == "status.bulk" || (frame.Type is "user.online" or "user.offline" && frame.GetGuid("userId") == about))
            .Select(frame => (frame.At, What: $"told {frame.Type}"));
        var own = history.Connections.Where(other => other.UserId == about).SelectMany(other => new[] { (At: other.Opening, What: $"{other.Name} opens") }
            .Concat(other.Frames.Take(1).Select(frame => (frame.At, What: $"{other.Name} is open")))
            .Concat(other.Closing is { } closing ? [(closing, $"{other.Name} closes")] : []));
        var blocks = history.Operations.Where(operation => operation.Request is Request.Block or Request.Unblock
                && ((operation.UserId == about && operation.Other == connection.UserId) || (operation.UserId == connection.UserId && operation.Other == about)))
            .SelectMany(operation => new[] { (At: operation.Start, What: $"{operation.Request} by {ShortId.Of(operation.UserId)} begins") }
                .Concat(operation.Response is { } answer ? [(answer.At, $"{operation.Request} by {ShortId.Of(operation.UserId)} is answered")] : []));
        return string.Join("; ", told.Concat(own).Concat(blocks).OrderBy(trace => trace.At).TakeLast(16).Select(trace => $"{trace.At.TotalMilliseconds:0} {trace.What}"));
    }

    private static string Status(bool isOnline) => isOnline ? "online" : "offline";
}
