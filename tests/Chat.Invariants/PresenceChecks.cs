namespace Chat.Invariants;

/// <summary>Checks I11: presence.</summary>
public static class PresenceChecks
{
    /// <summary>I11. The final presence is correct everywhere, and no transition is reported more often than it happened.</summary>
    public static IEnumerable<string> PresenceConverges(History history)
    {
        var online = history.Connections.Where(connection => connection.IsOpen).Select(connection => connection.UserId).ToHashSet();
        bool IsVisible(Guid observer, Guid subject) =>
            online.Contains(subject) && !BlockTimeline.IsBlockedAtEnd(history, observer, subject);

        foreach (var view in history.Views)
        {
            foreach (var (subject, isOnline) in view.Presence.Where(status => status.Value != IsVisible(view.UserId, status.Key)))
                yield return $"GET presence returns to {view} that {ShortId.Of(subject)} is {Status(isOnline)}";
        }

        foreach (var (connection, state, _) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var (subject, isOnline) in state.Online.Where(status => status.Value != IsVisible(connection.UserId, status.Key)))
                yield return $"{connection} was last notified that {ShortId.Of(subject)} is {Status(isOnline)} "
                    + $"({Trace(history, connection, subject)})";
        }

        foreach (var connection in history.Connections)
        {
            foreach (var frames in connection.Frames.Where(frame => frame.Type is "user.online" or "user.offline")
                .GroupBy(frame => (UserId: frame.GetGuid("userId"), frame.Type)))
            {
                var (reported, toOnline) = (0, frames.Key.Type == "user.online");
                var transitions = PossibleTransitions(history, connection.UserId, frames.Key.UserId, toOnline)
                    .Where(at => at > connection.Opening - history.PresenceLag).ToArray();
                foreach (var frame in frames)
                {
                    if (++reported > transitions.Count(at => at <= frame.At))
                        yield return $"{connection} received {frame.Type} of {ShortId.Of(frames.Key.UserId)} {reported} times by "
                            + $"{frame.At.TotalMilliseconds:0} ms, more often than it happened";
                }
            }
        }
    }

    // When a user may have come online, or gone offline, as seen by another. A connection that opens or closes changes
    // nothing while another connection of the user is certainly open, long enough for its node to have noticed; a block may.
    // Nodes skip transitions that were reversed before they were reported, so the same event may be reported twice in a row
    // if it happened twice.
    private static IEnumerable<TimeSpan> PossibleTransitions(History history, Guid observer, Guid subject, bool toOnline)
    {
        var own = history.Connections.Where(connection => connection.UserId == subject).ToArray();
        var candidates = toOnline
            ? own.Select(connection =>
                (connection, From: connection.Opening, To: Opened(connection) + history.PresenceLag, NoticedAfter: TimeSpan.Zero))
            : own.Where(connection => !connection.IsOpen).Select(connection =>
                (connection, From: connection.Closing!.Value, To: connection.Closing.Value + history.PresenceLag,
                    NoticedAfter: history.PresenceLag));
        return candidates
            .Where(candidate => !own.Any(other => other != candidate.connection && Opened(other) + candidate.NoticedAfter <= candidate.From
                && (other.Closing is not { } closing || closing > candidate.To)))
            .Select(candidate => candidate.From)
            .Concat(BlockTimeline.PossibleChanges(history, observer, subject, isEnd: toOnline));
    }

    private static TimeSpan Opened(Connection connection) => connection.Frames.Count > 0 ? connection.Frames[0].At : connection.Opening;

    // For diagnosis: the latest notifications and the latest events.
    private static string Trace(History history, Connection connection, Guid subject)
    {
        var received = connection.Frames
            .Where(frame =>
                frame.Type == "status.bulk" || (frame.Type is "user.online" or "user.offline" && frame.GetGuid("userId") == subject))
            .Select(frame => (frame.At, What: $"received {frame.Type}"));
        var own = history.Connections.Where(other => other.UserId == subject)
            .SelectMany(other => new[] { (At: other.Opening, What: $"{other.Name} opens") }
            .Concat(other.Frames.Take(1).Select(frame => (frame.At, What: $"{other.Name} is open")))
            .Concat(other.Closing is { } closing ? [(closing, $"{other.Name} closes")] : []));
        var blocks = history.Operations.Where(operation => operation.Request is Request.Block or Request.Unblock
                && ((operation.UserId == subject && operation.Other == connection.UserId)
                || (operation.UserId == connection.UserId && operation.Other == subject)))
            .SelectMany(operation => new[] { (At: operation.Start, What: $"{operation.Request} by {ShortId.Of(operation.UserId)} starts") }
                .Concat(operation.Response is { } response
                ? [(response.At, $"{operation.Request} by {ShortId.Of(operation.UserId)} is answered")] : []));
        return string.Join("; ", received.Concat(own).Concat(blocks).OrderBy(entry => entry.At).TakeLast(16)
            .Select(entry => $"{entry.At.TotalMilliseconds:0} {entry.What}"));
    }

    private static string Status(bool isOnline) => isOnline ? "online" : "offline";
}
