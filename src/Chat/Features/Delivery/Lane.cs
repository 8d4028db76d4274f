using Chat.Socket;

namespace Chat.Features;

/// <summary>What a <see cref="UserFeed"/> knows of one conversation; guarded by the feed's lock.</summary>
internal sealed class Lane
{
    // A user has a handful of connections: a list is smaller and quicker than a dictionary.
    private readonly List<(Connection Connection, Given Given)> given = [];

    public Given GivenTo(Connection connection)
    {
        foreach (var (known, own) in given)
        {
            if (known == connection)
                return own;
        }

        var added = new Given();
        given.Add((connection, added));
        return added;
    }

    public void Forget(Connection connection) => given.RemoveAll(known => known.Connection == connection);

    /// <summary>Every change up to here was delivered.</summary>
    public long Position { get; set; }

    /// <summary>The others' cursors, as the user was told of them.</summary>
    public ToldCursors Others { get; } = new();

    /// <summary>What the user has not read.</summary>
    public UnreadCount Unread { get; } = new();

    /// <summary>What came too early, by number.</summary>
    public SortedList<long, Held>? Held { get; set; }
}

/// <summary>What one connection has been given of one conversation.</summary>
internal sealed class Given
{
    /// <summary>The first number that was pushed to it; everything after was pushed, too.</summary>
    public long LiveFrom { get; set; } = long.MaxValue;

    /// <summary>The last number that a sync gave it.</summary>
    public long CaughtUpTo { get; set; }

    /// <summary>The answer to its latest send.</summary>
    public PendingReply? Expected { get; set; }
}

/// <summary>A change that came ahead of one that is missing.</summary>
/// <param name="Change">It.</param>
/// <param name="Reply">The answer that goes out in its place, if it is the local log's.</param>
/// <param name="Since">When it came.</param>
internal readonly record struct Held(Change Change, PendingReply? Reply, long Since);
