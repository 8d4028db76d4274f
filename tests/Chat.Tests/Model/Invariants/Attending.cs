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
            foreach (var about in connection.Frames.Where(frame => frame.Type is "user.online" or "user.offline").GroupBy(frame => frame.Who("userId")))
            {
                // The first may repeat what status.bulk says: a change that was under way when the list was made.
                foreach (var (earlier, later) in about.Zip(about.Skip(1)).Where(pair => pair.First.Type == pair.Second.Type))
                {
                    if (!MayHaveChanged(history, connection.UserId, about.Key, earlier.At - history.PresenceLag, later.At, later.Type == "user.online"))
                        yield return $"{connection} was told {later.Type} of {Short.Of(about.Key)} at {earlier.At.TotalMilliseconds:0} ms and again at {later.At.TotalMilliseconds:0} ms, with no change between";
                }
            }
        }
    }

    // Nodes tell what they see, each in its own time, and leave out what is over before they could tell it. So the
    // same may be told twice if it happened twice: if the person may have been gone, or there, in between.
    private static bool MayHaveChanged(History history, Guid to, Guid about, TimeSpan from, TimeSpan until, bool toOnline)
    {
        var own = history.Connections.Where(connection => connection.UserId == about);
        if (Apartness.MayHaveChanged(history, to, about, from, until))
            return true;
        if (!toOnline)
            return own.Any(connection => connection.Opening < until && (connection.Closing is not { } closing || closing + history.PresenceLag > from));

        // Whether the times in which a connection was certainly open leave a gap.
        var covered = from;
        foreach (var connection in own.Where(connection => connection.Frames.Count > 0).OrderBy(connection => connection.Frames[0].At))
        {
            if (connection.Frames[0].At <= covered && (connection.Closing ?? TimeSpan.MaxValue) > covered)
                covered = connection.Closing ?? TimeSpan.MaxValue;
        }

        return covered < until;
    }

    private static string Word(bool isOnline) => isOnline ? "online" : "offline";
}
