namespace Chat.Tests.Model;

/// <summary>I11: who is there.</summary>
public static class Attending
{
    /// <summary>I11.</summary>
    public static IEnumerable<string> PresenceConverges(History history)
    {
        var online = history.Connections.Where(connection => connection.IsOpen).Select(connection => connection.UserId).ToHashSet();
        bool IsSeen(Guid by, Guid about) => online.Contains(about) && !Apartness.AtTheEnd(history, by, about);

        foreach (var view in history.Views)
        {
            foreach (var (about, told) in view.Presence.Where(status => status.Value != IsSeen(view.UserId, status.Key)))
                yield return $"GET presence tells {view} that {Short.Of(about)} is {Word(told)}";
        }

        foreach (var (connection, replica, _) in Replica.OfOpenConnections(history))
        {
            foreach (var (about, told) in replica.Online.Where(status => status.Value != IsSeen(connection.UserId, status.Key)))
                yield return $"{connection} was told at last that {Short.Of(about)} is {Word(told)}";
        }

        foreach (var connection in history.Connections)
        {
            foreach (var about in connection.Frames.Where(frame => frame.Type is "user.online" or "user.offline").GroupBy(frame => (UserId: frame.Who("userId"), frame.Type)))
            {
                var (told, toOnline) = (0, about.Key.Type == "user.online");
                var changes = Changes(history, connection.UserId, about.Key.UserId, toOnline).Where(at => at > connection.Opening - history.PresenceLag).ToArray();
                foreach (var frame in about)
                {
                    if (++told > changes.Count(at => at <= frame.At))
                        yield return $"{connection} was told {frame.Type} of {Short.Of(about.Key.UserId)} for the {told}. time at {frame.At.TotalMilliseconds:0} ms, and it did not happen that often";
                }
            }
        }
    }

    // When somebody may have come, or gone, as another sees it. A connection that comes or goes while another one of
    // theirs is certainly there, long enough for its node to have noticed, changes nothing; a block may. Nodes leave
    // out what is over before they could tell it, so that the same may be told twice in a row if it happened twice.
    private static IEnumerable<TimeSpan> Changes(History history, Guid to, Guid about, bool toOnline)
    {
        var own = history.Connections.Where(connection => connection.UserId == about).ToArray();
        var moments = toOnline
            ? own.Select(connection => (connection, From: connection.Opening, To: Opened(connection) + history.PresenceLag, Noticed: TimeSpan.Zero))
            : own.Where(connection => !connection.IsOpen).Select(connection => (connection, From: connection.Closing!.Value, To: connection.Closing.Value + history.PresenceLag, Noticed: history.PresenceLag));
        return moments
            .Where(moment => !own.Any(other => other != moment.connection && Opened(other) + moment.Noticed <= moment.From && (other.Closing is not { } closing || closing > moment.To)))
            .Select(moment => moment.From)
            .Concat(Apartness.Changes(history, to, about, isEnd: toOnline));
    }

    private static TimeSpan Opened(Connection connection) => connection.Frames.Count > 0 ? connection.Frames[0].At : connection.Opening;

    private static string Word(bool isOnline) => isOnline ? "online" : "offline";
}
