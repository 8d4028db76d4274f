using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// One conversation of a <see cref="UserFeed"/>, guarded by its lock: lets changes out to the user's connections in the
/// order of their numbers, once; holds what comes too early; and knows what each connection was given.
/// </summary>
internal sealed class ConversationFeed(Guid userId, Hub hub, UnreadTotal total)
{
    /// <summary>
    /// So many changes, a few frames each, a send queue holds beside others: as many go out at once of what is held, also
    /// where a connection has little room. All of it would close whoever waited for it.
    /// </summary>
    public const int MaxReleasedAtOnce = 32;

    /// <summary>
    /// With each change that comes while others wait for their turn, two go out: so there is less to wait for with every
    /// one, however many come, and a connection that keeps up with them is not overrun.
    /// </summary>
    private const int MaxReleasedPerLive = 2;

    // A user has a handful of connections: a list is smaller and quicker than a dictionary.
    private readonly List<(Connection Connection, ConnectionProgress Given)> progress = [];

    // By number; null as long as nothing is held, which is nearly always.
    private SortedList<long, BufferedChange>? buffered;

    // Changes up to here are committed, although nothing has brought them.
    private long knownUpTo;

    /// <summary>Every change up to here was delivered.</summary>
    public long Position { get; set; }

    /// <summary>Every change up to here was delivered, or its turn will come: it is held, or known to be missing.</summary>
    public long Reached => Math.Max(Math.Max(Position, knownUpTo), buffered?.Keys[^1] ?? 0);

    /// <summary>Whether something is held that nothing is missing before: it waits for its turn.</summary>
    public bool CanRelease => buffered is not null && buffered.Keys[0] <= Position + 1;

    /// <summary>
    /// Up to where something is missing that must go out first, and whether that shows in what is held; null if nothing is,
    /// or if what is held has its turn before it.
    /// </summary>
    public (long UpTo, bool IsSeen)? Missing =>
        CanRelease ? null
        : buffered is not null ? (buffered.Keys[0] - 1, true)
        : knownUpTo > Position ? (knownUpTo, false)
        : null;

    /// <summary>What is held: it waits for something that is missing, or for its turn.</summary>
    public IEnumerable<BufferedChange> Buffered => buffered?.Values ?? Enumerable.Empty<BufferedChange>();

    /// <summary>What the user has not read.</summary>
    public UnreadCounter Unread { get; } = new(total);

    /// <summary>Delivers a change if it is the next, holds it if it is early, and leaves it out if it was there already.</summary>
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

    /// <summary>Something up to here is missing that nobody has brought. It is fetched when its turn has come.</summary>
    public void MarkMissing(long upTo) => knownUpTo = Math.Max(knownUpTo, upTo);

    /// <summary>Keeps a change until its turn.</summary>
    /// <returns>Whether it is news.</returns>
    public bool Buffer(BufferedChange early)
    {
        var number = early.Change.Message.ChangedSeq;
        var isNews = number > Position && buffered?.ContainsKey(number) != true;
        // The repair may find a message before its log knows of the commit, and brings no answer along.
        if (isNews || early.Reply is not null)
            (buffered ??= [])[number] = early;
        return isNews;
    }

    /// <summary>Delivers of what is held at most so many, as far as nothing is missing before them.</summary>
    public void Release(int most)
    {
        for (; most > 0 && CanRelease; most--)
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

    /// <summary>Of what a sync has found, ascending, what the connection was not pushed already; it will not be pushed later.</summary>
    public IReadOnlyList<Message> ClaimForSync(Connection connection, IReadOnlyList<Message> found)
    {
        var own = ProgressOf(connection);
        var rest = found.TakeWhile(message => message.ChangedSeq < own.LiveFrom).ToArray();
        if (rest.Length > 0)
            own.CaughtUpTo = Math.Max(own.CaughtUpTo, rest[^1].ChangedSeq);
        return rest;
    }

    /// <summary>A connection is gone.</summary>
    public void RemoveConnection(Connection connection) => progress.RemoveAll(known => known.Connection == connection);

    private void Deliver(BufferedChange next)
    {
        var (change, reply) = (next.Change, next.Reply);
        var message = change.Message;
        var isSender = message.SenderId == userId;
        Position = message.ChangedSeq;
        foreach (var connection in hub.ConnectionsOf(userId))
        {
            var own = ProgressOf(connection);
            var isCaught = message.ChangedSeq <= own.CaughtUpTo;
            if (!isCaught)
                own.LiveFrom = Math.Min(own.LiveFrom, message.ChangedSeq);
            var isAnswered = (connection == reply?.Connection ? reply : own.Expected) is { } answer && answer.MessageId == message.Id && answer.Send(change);
            if (isAnswered)
                own.Expected = null;
            else if (!isCaught)
                connection.Send(change.New(isSender));
            if (!isCaught)
                connection.Send(change.Updated());
        }

        // Its connection may have left the hub while the commit was under way.
        reply?.Send(change);
        if (isSender)
            return;
        Unread.Add(message.Seq);
        hub.Send(userId, Frame.Of(new NotificationUnread(message.ConversationId, Unread.Value, total.Value)));
    }

    private ConnectionProgress ProgressOf(Connection connection)
    {
        foreach (var (known, own) in progress)
        {
            if (known == connection)
                return own;
        }

        var added = new ConnectionProgress();
        progress.Add((connection, added));
        return added;
    }
}

/// <summary>What one connection has been given of one conversation.</summary>
internal sealed class ConnectionProgress
{
    /// <summary>The first number that was pushed to it; everything after was pushed, too.</summary>
    public long LiveFrom { get; set; } = long.MaxValue;

    /// <summary>The last number that a sync gave it.</summary>
    public long CaughtUpTo { get; set; }

    /// <summary>The answer to its latest send.</summary>
    public PendingReply? Expected { get; set; }
}

/// <summary>A change that waits for one that is missing, or for its turn.</summary>
/// <param name="Change">It.</param>
/// <param name="Reply">The answer that goes out in its place, if it is the local log's.</param>
/// <param name="Since">When it came.</param>
internal readonly record struct BufferedChange(Change Change, PendingReply? Reply, long Since);
