using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Tracks what one user's connections to this node have received, by conversation: the position up to which every change was
/// delivered, and the resulting unread count. The local log, other nodes and the repair offer changes in any order and more
/// than once; each is delivered once and in sequence, and an early change is buffered until the gap before it is filled.
/// </summary>
internal sealed class UserFeed(Guid userId, Hub hub, LocalMembers members, TimeProvider time)
{
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, ConversationFeed> conversations = [];
    private readonly UnreadTotal total = new();
    private List<BufferedChange>? buffered = [];
    private bool isFlushing;
    private bool isRemoved;

    public Guid UserId => userId;

    /// <summary>The cursors of other members that this feed's connections have received.</summary>
    public ReceiptTracker Receipts { get; } = new(userId, hub, time);

    /// <summary>What the positions included when they were loaded; null until then.</summary>
    public DatabaseSnapshot? LoadedAt { get; private set; }

    /// <summary>The number of connections that this feed serves; guarded by <see cref="Delivery"/>'s lock.</summary>
    public int Connections { get; set; }

    /// <summary>The load of the positions in progress, if any; guarded by <see cref="Delivery"/>'s lock.</summary>
    public Task? Loading { get; set; }

    /// <summary>Whether the positions are loaded; until then every offered change is buffered.</summary>
    public bool IsLoaded
    {
        get
        {
            lock (gate)
                return buffered is null;
        }
    }

    /// <summary>Registers the reply to a send; it is sent at the message's position, whoever offers the message first.</summary>
    public void Expect(Guid conversationId, PendingReply reply)
    {
        lock (gate)
            FeedOf(conversationId).Expect(reply);
    }

    /// <summary>Offers a change for delivery.</summary>
    /// <returns>False if it was buffered behind a gap or a backlog.</returns>
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

            var conversation = FeedOf(change.Message.ConversationId);
            conversation.Offer(offered);
            Flush(conversation);
            return change.Message.ChangedSeq <= conversation.Position;
        }
    }

    /// <summary>Marks everything up to a sequence number as committed but not received; <see cref="Gaps"/> then reports it.</summary>
    /// <returns>False if all of it was received.</returns>
    public bool MarkMissing(Guid conversationId, long upTo)
    {
        lock (gate)
        {
            var conversation = FeedOf(conversationId);
            var isMissing = buffered is null && conversation.Reached < upTo;
            if (isMissing)
                conversation.MarkMissing(upTo);
            return isMissing;
        }
    }

    /// <summary>Returns the user's own read cursor in a conversation of theirs.</summary>
    public long ReadUpToOf(Guid conversationId)
    {
        lock (gate)
            return FeedOf(conversationId).Unread.ReadUpTo;
    }

    /// <summary>Offers changes that were fetched to fill a gap. There may be many: they are buffered and released like a backlog.</summary>
    /// <returns>The number of changes that had not arrived in the meantime.</returns>
    public int Fill(Guid conversationId, IReadOnlyList<Message> missing)
    {
        lock (gate)
        {
            var conversation = FeedOf(conversationId);
            var news =
                missing.Count(message => conversation.Buffer(new BufferedChange(new Change(message), Reply: null, time.GetTimestamp())));
            Flush(conversation);
            return news;
        }
    }

    /// <summary>Sets all positions and delivers what was offered since the feed was created.</summary>
    /// <param name="rows">The positions, from one statement.</param>
    /// <param name="snapshot">What they include at least.</param>
    public void Load(IReadOnlyList<MemberPosition> rows, DatabaseSnapshot snapshot)
    {
        lock (gate)
        {
            if (buffered is null)
                return;
            LoadedAt = snapshot;
            foreach (var row in rows)
            {
                // A sync or a recount may have been faster and may still be running: keep its state and its newer count.
                var conversation = FeedOf(row.ConversationId);
                conversation.Position = row.Seq;
                conversation.Unread.Take(row);
            }

            // Committed after the connection was admitted: must be delivered even if the snapshot already includes it.
            foreach (var offered in buffered)
            {
                var message = offered.Change.Message;
                var conversation = FeedOf(message.ConversationId);
                conversation.Position = Math.Min(conversation.Position, message.ChangedSeq - 1);
                conversation.Buffer(offered);
            }

            buffered = null;
            FlushAll();
        }
    }

    /// <summary>Starts recording deliveries, until <see cref="EndRecount"/>, to reconcile them with a snapshot.</summary>
    public void BeginRecount(Guid conversationId)
    {
        lock (gate)
            FeedOf(conversationId).Unread.BeginRecount();
    }

    /// <summary>
    /// Applies a snapshot's count, adds what was delivered after it, and reports the result under the delivery lock, so that
    /// the newer of two counts is reported last.
    /// </summary>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="snapshot">The snapshot; null if it could not be taken.</param>
    /// <param name="onCounted">Receives the conversation's unread count and the total. Must not block.</param>
    /// <returns>The conversation's unread count, and the total.</returns>
    public (long Unread, long Total) EndRecount(Guid conversationId, MemberPosition? snapshot, Action<long, long>? onCounted = null)
    {
        lock (gate)
        {
            var count = FeedOf(conversationId).Unread;
            if (snapshot is { } row)
                count.Take(row);
            count.EndRecount();
            if (snapshot is not null)
                onCounted?.Invoke(count.Value, total.Value);
            return (count.Value, total.Value);
        }
    }

    /// <summary>
    /// Orders a sync reply with the deliveries of this feed: removes what was already pushed to this connection from the
    /// result, sends the rest, and excludes it from later pushes.
    /// </summary>
    /// <param name="connection">The connection that syncs.</param>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="found">The changes found in the database, ascending by <see cref="Message.ChangedSeq"/>.</param>
    /// <param name="hasMore">Whether the database has more changes than these.</param>
    /// <param name="send">Sends the remaining changes, and whether there are more.</param>
    public void ClaimForSync(
        Connection connection, Guid conversationId, IReadOnlyList<Message> found, bool hasMore, Action<IReadOnlyList<Message>, bool> send)
    {
        lock (gate)
        {
            var rest = FeedOf(conversationId).ClaimForSync(connection, found);
            send(rest, hasMore && rest.Count == found.Count);
        }
    }

    /// <summary>Forgets a closed connection.</summary>
    public void RemoveConnection(Connection connection)
    {
        lock (gate)
        {
            foreach (var conversation in conversations.Values)
                conversation.RemoveConnection(connection);
        }
    }

    /// <summary>Removes the feed from the index, because its last connection has closed.</summary>
    public void Remove()
    {
        lock (gate)
        {
            isRemoved = true;
            members.Remove(conversations.Keys, this);
        }
    }

    /// <summary>Returns how far each conversation has come, delivered or not, for the comparison with the database.</summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long ReadUpTo)> Positions()
    {
        lock (gate)
            return [.. conversations.Select(entry => (entry.Key, entry.Value.Reached, entry.Value.Unread.ReadUpTo))];
    }

    /// <summary>
    /// Returns the gaps that block delivery: the position before each, its last sequence number, and whether buffered changes
    /// reveal it.
    /// </summary>
    public IReadOnlyList<(Guid ConversationId, long Position, long UpTo, bool IsSeen)> Gaps()
    {
        // Called four times a second for every feed, nearly always without a result: allocate only if there is one.
        List<(Guid, long, long, bool)>? gaps = null;
        lock (gate)
        {
            foreach (var (conversationId, conversation) in conversations)
            {
                if (conversation.Missing is (var upTo, var isSeen))
                    (gaps ??= []).Add((conversationId, conversation.Position, upTo, isSeen));
            }
        }

        return gaps ?? [];
    }

    /// <summary>
    /// Releases a batch of buffered changes, so that a slow connection does not hold up the user's others; and releases replies
    /// that have waited too long for a change or for the positions, so that a slow repair does not look like a lost send.
    /// </summary>
    public void Release(TimeSpan maxHold)
    {
        lock (gate)
        {
            Release(buffered ?? []);
            foreach (var conversation in conversations.Values)
            {
                if (conversation.CanRelease && hub.ConnectionsOf(userId).Any(HasCapacity))
                    conversation.Release(ConversationFeed.MaxReleasedAtOnce);
                Release(conversation.Buffered);
            }
        }

        void Release(IEnumerable<BufferedChange> waiting)
        {
            foreach (var change in waiting)
            {
                if (time.GetElapsedTime(change.Since) >= maxHold)
                    change.Reply?.Send(change.Change);
            }
        }
    }

    // Releases a backlog only as fast as all connections drain: none is closed as a slow consumer for changes that piled up
    // through no fault of its own.
    private void Flush(ConversationFeed conversation)
    {
        while (conversation.CanRelease)
        {
            if (!hub.ConnectionsOf(userId).All(HasCapacity))
            {
                if (!isFlushing)
                    _ = FlushLaterAsync();
                return;
            }

            conversation.Release(1);
        }
    }

    private void FlushAll()
    {
        foreach (var conversation in conversations.Values)
            Flush(conversation);
    }

    private async Task FlushLaterAsync()
    {
        isFlushing = true;
        await Task.WhenAll(hub.ConnectionsOf(userId).Select(connection => connection.WaitForCapacityAsync()))
            .ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        lock (gate)
        {
            isFlushing = false;
            FlushAll();
        }
    }

    private static bool HasCapacity(Connection connection) => connection.WaitForCapacityAsync().IsCompleted;

    private ConversationFeed FeedOf(Guid conversationId)
    {
        if (conversations.TryGetValue(conversationId, out var known))
            return known;
        // An unknown conversation was created after the feed was loaded: nothing of it has been delivered.
        var created = new ConversationFeed(userId, hub, total);
        conversations.Add(conversationId, created);
        if (!isRemoved)
            members.Add(conversationId, this);
        return created;
    }
}
