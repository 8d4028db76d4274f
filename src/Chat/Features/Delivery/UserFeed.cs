using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// What one user's connections to this node have been given, conversation by conversation: the position up to which
/// every change was delivered, and the unread count that follows from it. Changes may be offered by the local log, by
/// other nodes and by the repair, in any order and more than once; they leave in the order of their numbers, once,
/// and what comes too early is held until what is missing has come.
/// </summary>
internal sealed class UserFeed(Guid userId, Hub hub, TimeProvider time)
{
    /// <summary>
    /// What was held goes out in parts of so many changes, a few frames each: all of it at once would be more than a send
    /// queue holds, and would close the connections of whoever waited for it.
    /// </summary>
    internal const int MostAtOnce = 32;

    private readonly Lock gate = new();
    private readonly Dictionary<Guid, Lane> lanes = [];
    private List<Held>? early = [];
    private long totalUnread;

    public Guid UserId => userId;

    /// <summary>Connections that this feed serves, guarded by <see cref="Delivery"/>'s lock.</summary>
    public int Connections { get; set; }

    /// <summary>Whether the positions are known; until then everything offered waits.</summary>
    public bool IsLoaded
    {
        get
        {
            lock (gate)
                return early is null;
        }
    }

    /// <summary>A connection has sent a message: its answer goes out in the message's place, whoever offers that first.</summary>
    public void Expect(Guid conversationId, PendingReply reply)
    {
        lock (gate)
            LaneOf(conversationId).GivenTo(reply.Connection).Expected = reply;
    }

    /// <summary>Offers a change.</summary>
    /// <returns>False if something before it is missing: it is held, and a repair is wanted.</returns>
    public bool Offer(Change change, PendingReply? reply = null)
    {
        lock (gate)
        {
            if (early is not null)
            {
                early.Add(new Held(change, reply, time.GetTimestamp()));
                return true;
            }

            var lane = LaneOf(change.Message.ConversationId);
            var number = change.Message.ChangedSeq;
            if (number <= lane.Position)
            {
                reply?.Send(change);
                return true;
            }

            if (number > lane.Position + 1)
            {
                lane.Held ??= [];
                lane.Held.TryAdd(number, new Held(change, reply, time.GetTimestamp()));
                return false;
            }

            Deliver(lane, change, reply);
            GoOn(lane);
            return true;
        }
    }

    /// <summary>Sets all positions from one snapshot, and lets go what was offered since the feed was made.</summary>
    public void Load(IReadOnlyList<UnreadRow> rows)
    {
        List<Held> offered;
        lock (gate)
        {
            if (early is null)
                return;
            foreach (var row in rows)
            {
                // A sync or a recount may have been quicker, and may still be under way: its lane stays, and its newer count.
                var lane = LaneOf(row.ConversationId);
                lane.Position = row.Seq;
                lane.Unread.Take(row);
                foreach (var cursor in row.Others)
                    lane.Others.Advance(cursor);
            }

            totalUnread = lanes.Values.Sum(lane => lane.Unread.Value);

            // Committed after the connection was let in, even if the snapshot knows it already: to be delivered.
            foreach (var (change, _, _) in early)
            {
                var lane = LaneOf(change.Message.ConversationId);
                lane.Position = Math.Min(lane.Position, change.Message.ChangedSeq - 1);
            }

            (offered, early) = (early, null);
        }

        foreach (var (change, reply, _) in offered)
            Offer(change, reply);
    }

    /// <summary>From here to <see cref="EndRecount"/> the feed notes what it counts beside the snapshot.</summary>
    public void BeginRecount(Guid conversationId)
    {
        lock (gate)
            LaneOf(conversationId).Unread.BeginRecount();
    }

    /// <summary>
    /// Takes over a snapshot's count, adds what was delivered past it meanwhile, and tells: under the same lock as
    /// deliveries, so that of two counts the newer one is told last.
    /// </summary>
    /// <param name="conversationId">Where.</param>
    /// <param name="snapshot">The snapshot, if it could be had.</param>
    /// <param name="tell">Gets the conversation's unread count and the total. Must not wait.</param>
    /// <returns>The conversation's unread count, and the total.</returns>
    public (long Unread, long Total) EndRecount(Guid conversationId, UnreadRow? snapshot, Action<long, long>? tell = null)
    {
        lock (gate)
        {
            var count = LaneOf(conversationId).Unread;
            var before = count.Value;
            if (snapshot is { } row)
                count.Take(row);
            count.EndRecount();
            totalUnread += count.Value - before;
            if (snapshot is not null)
                tell?.Invoke(count.Value, totalUnread);
            return (count.Value, totalUnread);
        }
    }

    /// <summary>
    /// Lets a sync answer in this feed's order: takes out of what was found in the database what this connection has
    /// been pushed already, sends the rest, and pushes nothing of it later.
    /// </summary>
    /// <param name="connection">The connection that syncs.</param>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="found">What was found, ascending by <see cref="Message.ChangedSeq"/>.</param>
    /// <param name="hasMore">Whether more was found than this.</param>
    /// <param name="send">Sends what is left, and whether there is more.</param>
    public void Catch(Connection connection, Guid conversationId, IReadOnlyList<Message> found, bool hasMore, Action<IReadOnlyList<Message>, bool> send)
    {
        lock (gate)
        {
            var given = LaneOf(conversationId).GivenTo(connection);
            var rest = found.TakeWhile(message => message.ChangedSeq < given.LiveFrom).ToArray();
            if (rest.Length > 0)
                given.CaughtUpTo = Math.Max(given.CaughtUpTo, rest[^1].ChangedSeq);
            send(rest, hasMore && rest.Length == found.Count);
        }
    }

    /// <summary>A connection is gone.</summary>
    public void Forget(Connection connection)
    {
        lock (gate)
        {
            foreach (var lane in lanes.Values)
                lane.Forget(connection);
        }
    }

    /// <summary>Every position: what the position check compares with the database.</summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long ReadUpTo)> Positions()
    {
        lock (gate)
            return [.. lanes.Select(lane => (lane.Key, lane.Value.Position, lane.Value.Unread.ReadUpTo))];
    }

    /// <summary>Tells that another member has come further.</summary>
    /// <param name="conversationId">Where.</param>
    /// <param name="cursor">Who, and up to where, as far as the frame tells it.</param>
    /// <param name="frame">What tells it.</param>
    /// <param name="onlyIfNews">Leaves it out if as much was told before: several may be found at once, and told in any order.</param>
    public void Tell(Guid conversationId, MemberCursor cursor, Frame frame, bool onlyIfNews = false)
    {
        lock (gate)
        {
            if (LaneOf(conversationId).Others.Advance(cursor) || !onlyIfNews)
                hub.Send(userId, frame);
        }
    }

    /// <summary>What was told of all others, in all conversations.</summary>
    public IReadOnlyList<(Guid ConversationId, MemberCursor Cursor)> Told()
    {
        lock (gate)
            return [.. lanes.SelectMany(lane => lane.Value.Others.All, (lane, cursor) => (lane.Key, cursor))];
    }

    /// <summary>The conversations in which something is held, each with its position and what it lacks to go on.</summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long FirstHeld)> Gaps()
    {
        // Every feed is asked four times a second and hardly ever has one: nothing is made for the answer that there is none.
        List<(Guid, long, long)>? gaps = null;
        lock (gate)
        {
            foreach (var (conversationId, lane) in lanes)
            {
                if (lane.Held is { Count: > 0 } held && held.Keys[0] > lane.Position + 1)
                    (gaps ??= []).Add((conversationId, lane.Position, held.Keys[0]));
            }
        }

        return gaps ?? [];
    }

    /// <summary>
    /// Delivers the next part of what was held, and lets go the answers that have been held for too long, for want of a
    /// change or of the positions: a slow repair must not look like a lost send.
    /// </summary>
    public void GoOn(TimeSpan longestHold)
    {
        lock (gate)
        {
            Release(early);
            foreach (var lane in lanes.Values)
            {
                GoOn(lane);
                Release(lane.Held?.Values);
            }
        }

        void Release(IEnumerable<Held>? waiting)
        {
            foreach (var held in waiting ?? [])
            {
                if (time.GetElapsedTime(held.Since) >= longestHold)
                    held.Reply?.Send(held.Change);
            }
        }
    }

    private void GoOn(Lane lane)
    {
        for (var most = MostAtOnce; most > 0 && lane.Held is { Count: > 0 } held && held.Keys[0] <= lane.Position + 1; most--)
        {
            var (next, (waiting, waitingReply, _)) = (held.Keys[0], held.Values[0]);
            held.RemoveAt(0);
            if (next > lane.Position)
                Deliver(lane, waiting, waitingReply);
            else
                waitingReply?.Send(waiting);
        }
    }

    private Lane LaneOf(Guid conversationId)
    {
        // A conversation that is not known yet has come to be since the feed was loaded: nothing of it was delivered.
        if (!lanes.TryGetValue(conversationId, out var lane))
            lanes.Add(conversationId, lane = new Lane());
        return lane;
    }

    private void Deliver(Lane lane, Change change, PendingReply? reply)
    {
        var message = change.Message;
        var isSender = message.SenderId == userId;
        lane.Position = message.ChangedSeq;
        foreach (var connection in hub.ConnectionsOf(userId))
        {
            var given = lane.GivenTo(connection);
            var isCaught = message.ChangedSeq <= given.CaughtUpTo;
            if (!isCaught)
                given.LiveFrom = Math.Min(given.LiveFrom, message.ChangedSeq);
            var isAnswered = (connection == reply?.Connection ? reply : given.Expected) is { } own && own.MessageId == message.Id && own.Send(change);
            if (isAnswered)
                given.Expected = null;
            else if (!isCaught)
                connection.Send(change.New(isSender));
            if (!isCaught)
                connection.Send(change.Updated());
        }

        // Its connection may have left the hub while the commit was under way.
        reply?.Send(change);
        if (isSender)
            return;

        var before = lane.Unread.Value;
        lane.Unread.Add(message.Seq);
        totalUnread += lane.Unread.Value - before;
        hub.Send(userId, Frame.Of(new UnreadNotification(message.ConversationId, lane.Unread.Value, totalUnread)));
    }
}
