using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// One conversation of a <see cref="UserFeed"/>, guarded by its lock: lets changes out to the user's connections in the
/// order of their numbers, once; holds what comes too early; and knows what each connection was given.
/// </summary>
internal sealed class Lane(Guid userId, Hub hub, UnreadTotal total)
{
    /// <summary>
    /// What was held goes out in parts of so many changes, a few frames each: all of it at once would be more than a send
    /// queue holds, and would close the connections of whoever waited for it.
    /// </summary>
    public const int MostAtOnce = 32;

    /// <summary>
    /// With each change that comes while others wait for their turn, two go out: so there is less to wait for with every
    /// one, however many come, and a connection that keeps up with them is not overrun.
    /// </summary>
    private const int MostBesideLive = 2;

    // A user has a handful of connections: a list is smaller and quicker than a dictionary.
    private readonly List<(Connection Connection, Given Given)> given = [];

    // By number; null as long as nothing is held, which is nearly always.
    private SortedList<long, Held>? held;

    /// <summary>Every change up to here was delivered.</summary>
    public long Position { get; set; }

    /// <summary>Every change up to here was delivered, or is held and only waits for its turn.</summary>
    public long Reached
    {
        get
        {
            var reached = Position;
            if (held is null)
                return reached;
            foreach (var number in held.Keys)
            {
                if (number > reached + 1)
                    break;
                reached = Math.Max(reached, number);
            }

            return reached;
        }
    }

    /// <summary>The first that is held although something before it is missing.</summary>
    public long? FirstHeldInVain => held?.Keys[0] is { } first && first > Position + 1 ? first : null;

    /// <summary>What is held: it waits for something that is missing, or for its turn.</summary>
    public IEnumerable<Held> Waiting => held?.Values ?? Enumerable.Empty<Held>();

    /// <summary>What the user has not read.</summary>
    public UnreadCount Unread { get; } = new(total);

    /// <summary>Delivers a change if it is the next, holds it if it is early, and leaves it out if it was there already.</summary>
    /// <returns>False if it is held.</returns>
    public bool Offer(Held offered)
    {
        var number = offered.Change.Message.ChangedSeq;
        if (number <= Position)
        {
            offered.Reply?.Send(offered.Change);
        }
        else if (number == Position + 1)
        {
            Deliver(offered);
            GoOn();
        }
        else
        {
            Hold(offered);
            GoOn(MostBesideLive);
        }

        return number <= Position;
    }

    /// <summary>Keeps a change until its turn.</summary>
    public void Hold(Held early)
    {
        var number = early.Change.Message.ChangedSeq;
        held ??= [];
        // The repair may find a message before its log knows of the commit, and brings no answer along.
        if (early.Reply is not null || !held.ContainsKey(number))
            held[number] = early;
    }

    /// <summary>Delivers of what is held as much as may go out at once, and has nothing missing before it.</summary>
    public void GoOn(int most = MostAtOnce)
    {
        for (; most > 0 && held is not null && held.Keys[0] <= Position + 1; most--)
        {
            var next = held.Values[0];
            held.RemoveAt(0);
            if (held.Count == 0)
                held = null;
            if (next.Change.Message.ChangedSeq > Position)
                Deliver(next);
            else
                next.Reply?.Send(next.Change);
        }
    }

    /// <summary>See <see cref="UserFeed.Expect"/>.</summary>
    public void Expect(PendingReply reply) => GivenTo(reply.Connection).Expected = reply;

    /// <summary>Of what a sync has found, ascending, what the connection was not pushed already; it will not be pushed later.</summary>
    public IReadOnlyList<Message> Catch(Connection connection, IReadOnlyList<Message> found)
    {
        var own = GivenTo(connection);
        var rest = found.TakeWhile(message => message.ChangedSeq < own.LiveFrom).ToArray();
        if (rest.Length > 0)
            own.CaughtUpTo = Math.Max(own.CaughtUpTo, rest[^1].ChangedSeq);
        return rest;
    }

    /// <summary>A connection is gone.</summary>
    public void Forget(Connection connection) => given.RemoveAll(known => known.Connection == connection);

    private void Deliver(Held next)
    {
        var (change, reply) = (next.Change, next.Reply);
        var message = change.Message;
        var isSender = message.SenderId == userId;
        Position = message.ChangedSeq;
        foreach (var connection in hub.ConnectionsOf(userId))
        {
            var own = GivenTo(connection);
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
        hub.Send(userId, Frame.Of(new UnreadNotification(message.ConversationId, Unread.Value, total.Value)));
    }

    private Given GivenTo(Connection connection)
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

/// <summary>A change that waits for one that is missing, or for its turn.</summary>
/// <param name="Change">It.</param>
/// <param name="Reply">The answer that goes out in its place, if it is the local log's.</param>
/// <param name="Since">When it came.</param>
internal readonly record struct Held(Change Change, PendingReply? Reply, long Since);
