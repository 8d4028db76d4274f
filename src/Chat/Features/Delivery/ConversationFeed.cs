using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// A conversation of a <see cref="UserFeed"/>, guarded by its lock. Delivers changes to the user's connections once and in
/// sequence, buffers changes that arrive early, and tracks what each connection has received.
/// </summary>
internal sealed class ConversationFeed(Guid userId, Hub hub, UnreadTotal total)
{
    /// <summary>
    /// Most buffered changes released at once, even to a connection with little capacity. Their frames fit a send queue
    /// beside other traffic; releasing everything would overflow it and close the connection.
    /// </summary>
    public const int MaxReleasedAtOnce = 32;

    /// <summary>
    /// Most buffered changes released per live change while a backlog exists. Two, so that the backlog shrinks with every
    /// arrival, and a connection that keeps up is not overrun.
    /// </summary>
    private const int MaxReleasedPerLive = 2;

    // A user has a handful of connections: a list is smaller and faster than a dictionary.
    private readonly List<(Connection Connection, ConnectionProgress Given)> progress = [];

    // By sequence number; null while nothing is buffered, which is the common case.
    private SortedList<long, BufferedChange>? buffered;

    // Changes up to here are committed, even if none of them has arrived.
    private long knownUpTo;

    /// <summary>Every change up to this sequence number was delivered.</summary>
    public long Position { get; set; }

    /// <summary>Every change up to this sequence number was delivered, is buffered or is known to be missing.</summary>
    public long Reached => Math.Max(Math.Max(Position, knownUpTo), buffered?.Keys[^1] ?? 0);

    /// <summary>Whether the first buffered change is next in sequence and only waits to be released.</summary>
    public bool CanRelease => buffered is not null && buffered.Keys[0] <= Position + 1;

    /// <summary>
    /// The end of the gap that must be filled next, and whether buffered changes reveal it; null if there is no gap or if
    /// buffered changes can be released first.
    /// </summary>
    public (long UpTo, bool IsSeen)? Missing =>
        CanRelease ? null
        : buffered is not null ? (buffered.Keys[0] - 1, true)
        : knownUpTo > Position ? (knownUpTo, false)
        : null;

    /// <summary>Changes that wait for a missing one or for their release.</summary>
    public IEnumerable<BufferedChange> Buffered => buffered?.Values ?? Enumerable.Empty<BufferedChange>();

    /// <summary>The unread count.</summary>
    public UnreadCounter Unread { get; } = new(total);

    /// <summary>Delivers a change that is next in sequence, buffers an early one and drops a duplicate.</summary>
    public void Offer(BufferedChange offered)
    {
        var number = offered.Change.Message.ChangedSeq;
        if (number <= Position)
        {
            offered.Reply?.Send(offered.Change);
        }
        else if (number == Position + 1)
        {
            Deliver(offered);
            Release(MaxReleasedAtOnce);
        }
        else
        {
            Buffer(offered);
            Release(MaxReleasedPerLive);
        }
    }

    /// <summary>
    /// Marks everything up to a sequence number as committed but not received. It is fetched once it is next in sequence.
    /// </summary>
    public void MarkMissing(long upTo) => knownUpTo = Math.Max(knownUpTo, upTo);

    /// <summary>Buffers a change.</summary>
    /// <returns>False for a duplicate.</returns>
    public bool Buffer(BufferedChange early)
    {
        var number = early.Change.Message.ChangedSeq;
        var isNews = number > Position && buffered?.ContainsKey(number) != true;
        // The repair may offer a message, without a reply, before its log knows of the commit.
        if (isNews || early.Reply is not null)
            (buffered ??= [])[number] = early;
        return isNews;
    }

    /// <summary>Delivers up to <paramref name="count"/> buffered changes, stopping at a gap.</summary>
    public void Release(int count)
    {
        for (; count > 0 && CanRelease; count--)
        {
            var next = buffered!.Values[0];
            buffered.RemoveAt(0);
            if (buffered.Count == 0)
                buffered = null;
            if (next.Change.Message.ChangedSeq > Position)
                Deliver(next);
            else
                next.Reply?.Send(next.Change);
        }
    }

    /// <summary>See <see cref="UserFeed.Expect"/>.</summary>
    public void Expect(PendingReply reply) => ProgressOf(reply.Connection).Expected = reply;

    /// <summary>
    /// Returns the part of a sync's ascending result that was not pushed to the connection, and excludes it from later pushes.
    /// </summary>
    public IReadOnlyList<Message> ClaimForSync(Connection connection, IReadOnlyList<Message> found)
    {
        var mine = ProgressOf(connection);
        var rest = found.TakeWhile(message => message.ChangedSeq < mine.LiveFrom).ToArray();
        if (rest.Length > 0)
            mine.CaughtUpTo = Math.Max(mine.CaughtUpTo, rest[^1].ChangedSeq);
        return rest;
    }

    /// <summary>Forgets a closed connection.</summary>
    public void RemoveConnection(Connection connection) => progress.RemoveAll(known => known.Connection == connection);

    private void Deliver(BufferedChange next)
    {
        var (change, reply) = (next.Change, next.Reply);
        var message = change.Message;
        var isSender = message.SenderId == userId;
        Position = message.ChangedSeq;
        foreach (var connection in hub.ConnectionsOf(userId))
        {
            var current = ProgressOf(connection);
            var isCaught = message.ChangedSeq <= current.CaughtUpTo;
            if (!isCaught)
                current.LiveFrom = Math.Min(current.LiveFrom, message.ChangedSeq);
            var isAnswered = (connection == reply?.Connection ? reply : current.Expected) is { } answer
                && answer.MessageId == message.Id && answer.Send(change);
            if (isAnswered)
                current.Expected = null;
            else if (!isCaught)
                connection.Send(change.New(isSender));
            if (!isCaught)
                connection.Send(change.Updated());
        }

        // The connection may have left the hub during the commit.
        reply?.Send(change);
        if (isSender)
            return;
        Unread.Add(message.Seq);
        hub.Send(userId, Frame.Of(new NotificationUnread(message.ConversationId, Unread.Value, total.Value)));
    }

    private ConnectionProgress ProgressOf(Connection connection)
    {
        foreach (var (known, current) in progress)
        {
            if (known == connection)
                return current;
        }

        var added = new ConnectionProgress();
        progress.Add((connection, added));
        return added;
    }
}

/// <summary>Tracks what one connection has received of one conversation.</summary>
internal sealed class ConnectionProgress
{
    /// <summary>The first sequence number that was pushed; every later one was pushed as well.</summary>
    public long LiveFrom { get; set; } = long.MaxValue;

    /// <summary>The last sequence number that a sync returned.</summary>
    public long CaughtUpTo { get; set; }

    /// <summary>The reply that its latest send is owed.</summary>
    public PendingReply? Expected { get; set; }
}

/// <summary>A change that waits for a missing one or for its release.</summary>
/// <param name="Change">The change.</param>
/// <param name="Reply">The reply to send at this position, if the local log offered the change.</param>
/// <param name="Since">The timestamp of its arrival, as of <see cref="TimeProvider.GetTimestamp"/>.</param>
internal readonly record struct BufferedChange(Change Change, PendingReply? Reply, long Since);
