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
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, ConversationFeed> conversations = [];
    private readonly UnreadTotal total = new();
    private List<BufferedChange>? buffered = [];
    private bool isFlushing;

    public Guid UserId => userId;

    /// <summary>How far the others have come, as this feed's connections were told.</summary>
    public ReceiptTracker Receipts { get; } = new(userId, hub);

    /// <summary>Connections that this feed serves, guarded by <see cref="Delivery"/>'s lock.</summary>
    public int Connections { get; set; }

    /// <summary>The load of the positions that is under way, if one is; guarded by <see cref="Delivery"/>'s lock.</summary>
    public Task? Loading { get; set; }

    /// <summary>Whether the positions are known; until then everything offered waits.</summary>
    public bool IsLoaded
    {
        get
        {
            lock (gate)
                return buffered is null;
        }
    }

    /// <summary>A connection has sent a message: its answer goes out in the message's place, whoever offers that first.</summary>
    public void Expect(Guid conversationId, PendingReply reply)
    {
        lock (gate)
            FeedOf(conversationId).Expect(reply);
    }

    /// <summary>Offers a change.</summary>
    /// <returns>False if it is held: something before it is missing, or has not had its turn.</returns>
    public bool Offer(Change change, PendingReply? reply = null)
    {
        var offered = new BufferedChange(change, reply, time.GetTimestamp());
        lock (gate)
        {
            if (buffered is not null)
            {
                buffered.Add(offered);
                return true;
            }

            var lane = FeedOf(change.Message.ConversationId);
            lane.Offer(offered);
            Flush(lane);
            return change.Message.ChangedSeq <= lane.Position;
        }
    }

    /// <summary>Something up to this number is missing that nobody has brought: it will be among the gaps.</summary>
    public void MarkMissing(Guid conversationId, long upTo)
    {
        lock (gate)
            FeedOf(conversationId).MarkMissing(upTo);
    }

    /// <summary>Offers what was missing and was found in the database. It may be much: it leaves like all that is held.</summary>
    /// <returns>How many of them nobody had brought meanwhile.</returns>
    public int Fill(Guid conversationId, IReadOnlyList<Message> missing)
    {
        lock (gate)
        {
            var lane = FeedOf(conversationId);
            var news = missing.Count(message => lane.Buffer(new BufferedChange(new Change(message), Reply: null, time.GetTimestamp())));
            Flush(lane);
            return news;
        }
    }

    /// <summary>Sets all positions from one snapshot, and lets go what was offered since the feed was made.</summary>
    public void Load(IReadOnlyList<MemberPosition> rows)
    {
        lock (gate)
        {
            if (buffered is null)
                return;
            Receipts.Load(rows);
            foreach (var row in rows)
            {
                // A sync or a recount may have been quicker, and may still be under way: its lane stays, and its newer count.
                var lane = FeedOf(row.ConversationId);
                lane.Position = row.Seq;
                lane.Unread.Take(row);
            }

            // Committed after the connection was let in, even if the snapshot knows it already: to be delivered.
            foreach (var offered in buffered)
            {
                var message = offered.Change.Message;
                var lane = FeedOf(message.ConversationId);
                lane.Position = Math.Min(lane.Position, message.ChangedSeq - 1);
                lane.Buffer(offered);
            }

            buffered = null;
            FlushAll();
        }
    }

    /// <summary>From here to <see cref="EndRecount"/> the feed notes what it counts beside the snapshot.</summary>
    public void BeginRecount(Guid conversationId)
    {
        lock (gate)
            FeedOf(conversationId).Unread.BeginRecount();
    }

    /// <summary>
    /// Takes over a snapshot's count, adds what was delivered past it meanwhile, and tells: under the same lock as
    /// deliveries, so that of two counts the newer one is told last.
    /// </summary>
    /// <param name="conversationId">Where.</param>
    /// <param name="snapshot">The snapshot, if it could be had.</param>
    /// <param name="tell">Gets the conversation's unread count and the total. Must not wait.</param>
    /// <returns>The conversation's unread count, and the total.</returns>
    public (long Unread, long Total) EndRecount(Guid conversationId, MemberPosition? snapshot, Action<long, long>? tell = null)
    {
        lock (gate)
        {
            var count = FeedOf(conversationId).Unread;
            if (snapshot is { } row)
                count.Take(row);
            count.EndRecount();
            if (snapshot is not null)
                tell?.Invoke(count.Value, total.Value);
            return (count.Value, total.Value);
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
    public void ClaimForSync(Connection connection, Guid conversationId, IReadOnlyList<Message> found, bool hasMore, Action<IReadOnlyList<Message>, bool> send)
    {
        lock (gate)
        {
            var rest = FeedOf(conversationId).ClaimForSync(connection, found);
            send(rest, hasMore && rest.Count == found.Count);
        }
    }

    /// <summary>A connection is gone.</summary>
    public void RemoveConnection(Connection connection)
    {
        lock (gate)
        {
            foreach (var lane in conversations.Values)
                lane.RemoveConnection(connection);
        }
    }

    /// <summary>How far each conversation is here, delivered or not: what the position check compares with the database.</summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long ReadUpTo)> Positions()
    {
        lock (gate)
            return [.. conversations.Select(lane => (lane.Key, lane.Value.Reached, lane.Value.Unread.ReadUpTo))];
    }

    /// <summary>The conversations that lack something to go on: what lies past the position, up to a number; and whether it is seen in what is held.</summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long UpTo, bool IsSeen)> Gaps()
    {
        // Every feed is asked four times a second and hardly ever has one: nothing is made for the answer that there is none.
        List<(Guid, long, long, bool)>? gaps = null;
        lock (gate)
        {
            foreach (var (conversationId, lane) in conversations)
            {
                if (lane.Missing is (var upTo, var isSeen))
                    (gaps ??= []).Add((conversationId, lane.Position, upTo, isSeen));
            }
        }

        return gaps ?? [];
    }

    /// <summary>
    /// Delivers a part of what was held, so that of several connections no slow one keeps the others waiting; and lets go
    /// the answers that have been held for too long, for want of a change or of the positions: a slow repair must not look
    /// like a lost send.
    /// </summary>
    public void Release(TimeSpan longestHold)
    {
        lock (gate)
        {
            Release(buffered ?? []);
            foreach (var lane in conversations.Values)
            {
                if (lane.CanRelease && hub.ConnectionsOf(userId).Any(HasCapacity))
                    lane.Release(ConversationFeed.MaxReleasedAtOnce);
                Release(lane.Buffered);
            }
        }

        void Release(IEnumerable<BufferedChange> waiting)
        {
            foreach (var held in waiting)
            {
                if (time.GetElapsedTime(held.Since) >= longestHold)
                    held.Reply?.Send(held.Change);
            }
        }
    }

    // What waits for its turn goes out as fast as all connections take it: none is closed for what others have said while it
    // was kept from it.
    private void Flush(ConversationFeed lane)
    {
        while (lane.CanRelease)
        {
            if (!hub.ConnectionsOf(userId).All(HasCapacity))
            {
                if (!isFlushing)
                    _ = FlushLaterAsync();
                return;
            }

            lane.Release(1);
        }
    }

    private void FlushAll()
    {
        foreach (var lane in conversations.Values)
            Flush(lane);
    }

    private async Task FlushLaterAsync()
    {
        isFlushing = true;
        await Task.WhenAll(hub.ConnectionsOf(userId).Select(connection => connection.WaitForCapacityAsync())).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        lock (gate)
        {
            isFlushing = false;
            FlushAll();
        }
    }

    private static bool HasCapacity(Connection connection) => connection.WaitForCapacityAsync().IsCompleted;

    private ConversationFeed FeedOf(Guid conversationId)
    {
        // A conversation that is not known yet has come to be since the feed was loaded: nothing of it was delivered.
        if (!conversations.TryGetValue(conversationId, out var lane))
            conversations.Add(conversationId, lane = new ConversationFeed(userId, hub, total));
        return lane;
    }
}
