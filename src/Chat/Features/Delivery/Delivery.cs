using System.Collections.Concurrent;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Brings every committed change to every connection of every member: once, in the order of the numbers, on any node.
/// Local connections are served straight from the log; other nodes get one publish a recipient and do the same; what
/// gets lost between nodes is found by its number and fetched (<see cref="DeliveryRepair"/>). Nothing here is the
/// only copy of anything.
/// </summary>
public sealed class DeliverySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<Delivery>();
        slice.Runs<DeliveryRepair>()
            .ObserveConnections<Delivery>()
            .OnNode<ChangeCommitted, Delivery>()
            .OnNode<CursorMoved, Delivery>()
            .OnNode<ReceiptTold, Delivery>();
    }
}

/// <summary>The event <c>message.new</c>: to all connections of all members, but the one that sent it.</summary>
/// <param name="Message">The message; with its tempId on the sender's own connections.</param>
public sealed record MessageArrived(Message Message) : IEvent<MessageArrived>
{
    /// <inheritdoc/>
    public static string Name => "message.new";

    /// <inheritdoc/>
    public static JsonTypeInfo<MessageArrived> Json => ChatJson.Wire.MessageArrived;
}

/// <summary>The event <c>conversation.updated</c>: to all connections of all members.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="LastMessage">Its latest message.</param>
/// <param name="Seq">Its counter.</param>
public sealed record ConversationUpdated(Guid ConversationId, Message LastMessage, long Seq) : IEvent<ConversationUpdated>
{
    /// <inheritdoc/>
    public static string Name => "conversation.updated";

    /// <inheritdoc/>
    public static JsonTypeInfo<ConversationUpdated> Json => ChatJson.Wire.ConversationUpdated;
}

/// <summary>The event <c>notification.unread</c>: to the connections of whoever has something to read, or has just read it.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Unread">How many messages are unread there.</param>
/// <param name="TotalUnread">How many are unread over all conversations.</param>
public sealed record UnreadNotification(Guid ConversationId, long Unread, long TotalUnread) : IEvent<UnreadNotification>
{
    /// <inheritdoc/>
    public static string Name => "notification.unread";

    /// <inheritdoc/>
    public static JsonTypeInfo<UnreadNotification> Json => ChatJson.Wire.UnreadNotification;
}

/// <summary>Node event: a change to a conversation of the channel's user was committed.</summary>
/// <param name="Message">The message in its new state.</param>
/// <param name="Trace">The span that pushes it (W3C's traceparent), where somebody follows it.</param>
internal sealed record ChangeCommitted(Message Message, string? Trace = null) : IEvent<ChangeCommitted>
{
    public static string Name => "change";

    public static JsonTypeInfo<ChangeCommitted> Json => ChatJson.Wire.ChangeCommitted;
}

/// <summary>Node event: the channel's user has read on, elsewhere.</summary>
/// <param name="ConversationId">Where.</param>
internal sealed record CursorMoved(Guid ConversationId) : IEvent<CursorMoved>
{
    public static string Name => "cursor";

    public static JsonTypeInfo<CursorMoved> Json => ChatJson.Wire.CursorMoved;
}

/// <summary>Node event: another member of a conversation of the channel's user has come further.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="Cursor">Who, and up to where.</param>
/// <param name="Frame">What the user's connections are told.</param>
internal sealed record ReceiptTold(Guid ConversationId, MemberCursor Cursor, byte[] Frame) : IEvent<ReceiptTold>
{
    public static string Name => "receipt";

    public static JsonTypeInfo<ReceiptTold> Json => ChatJson.Wire.ReceiptTold;
}

/// <summary>The feeds of the users who are connected to this node, and what comes into them.</summary>
internal sealed partial class Delivery : IConnectionObserver, INodeHandler<ChangeCommitted>, INodeHandler<CursorMoved>, INodeHandler<ReceiptTold>
{
    private readonly Hub hub;
    private readonly RedisBackplane backplane;
    private readonly UnreadCounts unread;
    private readonly TimeProvider time;
    private readonly ILogger<Delivery> log;
    private readonly ConcurrentDictionary<Guid, UserFeed> feeds = new();
    private readonly Lock gate = new();
    private readonly Channel<(Guid UserId, Guid ConversationId)> recounts = Channel.CreateUnbounded<(Guid, Guid)>();

    /// <summary>Made once a node.</summary>
    public Delivery(Hub hub, RedisBackplane backplane, UnreadCounts unread, ServerMetrics metrics, TimeProvider time, ILogger<Delivery> log)
    {
        this.hub = hub;
        this.backplane = backplane;
        this.unread = unread;
        this.time = time;
        this.log = log;
        metrics.WatchFeeds(() => feeds.Count);
    }

    /// <summary>Every feed of this node. No copy, which would be a large one several times a second.</summary>
    public IEnumerable<UserFeed> Feeds => feeds.Select(entry => entry.Value);

    /// <summary>Counts to be made anew, because another node moved a cursor.</summary>
    public ChannelReader<(Guid UserId, Guid ConversationId)> Recounts => recounts.Reader;

    /// <summary>A message is about to be committed: its sender's connection gets this answer in its place, whoever finds the commit first.</summary>
    public void Expect(Guid sender, Guid conversationId, PendingReply reply) => FeedOf(sender)?.Expect(conversationId, reply);

    /// <summary>Brings a change that this node has just committed to all members. Called in the order of the numbers.</summary>
    public void Committed(Change change, IReadOnlyCollection<Guid> members, PendingReply? reply = null)
    {
        using var span = Tracing.Push();
        var replied = reply is null;
        foreach (var member in members)
        {
            var own = reply?.Connection.User.Id == member ? reply : null;
            if (feeds.TryGetValue(member, out var feed))
            {
                feed.Offer(change, own);
                replied |= own is not null;
            }
        }

        Failpoint.Reach(Failpoint.AfterAck, change.Message.Content, grace: 200);
        backplane.Publish(members, new ChangeCommitted(change.Message, span?.Id));

        // The sender's last connection may have gone while the commit was under way.
        if (!replied)
            reply!.Send(change);
    }

    /// <summary>Tells other members, on every node, how far somebody has come. What is lost on the way, <see cref="ReceiptRepair"/> tells.</summary>
    public void Tell(IReadOnlyCollection<Guid> others, Guid conversationId, MemberCursor cursor, Frame frame)
    {
        foreach (var other in others)
            FeedOf(other)?.Tell(conversationId, cursor, frame);
        backplane.Publish(others, new ReceiptTold(conversationId, cursor, frame.Bytes.ToArray()));
    }

    /// <summary>Counts a user's unread messages anew and tells their connections, on every node.</summary>
    /// <param name="userId">Whose.</param>
    /// <param name="conversationId">Where the cursor moved.</param>
    /// <param name="except">A connection that is told otherwise.</param>
    /// <param name="tell">Gets the conversation's count and the total, in their place among all that the connections are told. Must not wait.</param>
    public async Task CursorMovedAsync(Guid userId, Guid conversationId, Connection? except, Action<long, long> tell)
    {
        backplane.Publish(userId, new CursorMoved(conversationId));
        if (feeds.TryGetValue(userId, out var feed))
        {
            await RecountAsync(feed, conversationId, except, tell);
            return;
        }

        var rows = await unread.LoadAsync(userId);
        tell(rows.Where(row => row.ConversationId == conversationId).Sum(row => row.Unread), rows.Sum(row => row.Unread));
    }

    /// <summary>Counts one conversation anew, for the connections to this node.</summary>
    public async Task RecountAsync(UserFeed feed, Guid conversationId, Connection? except = null, Action<long, long>? tell = null)
    {
        // The total is true only where all positions are known.
        await LoadAsync(feed);
        feed.BeginRecount(conversationId);
        UnreadRow? snapshot = null;
        try
        {
            snapshot = (await unread.LoadAsync(feed.UserId, [conversationId])).Select(row => (UnreadRow?)row).FirstOrDefault();
        }
        finally
        {
            feed.EndRecount(conversationId, snapshot, (count, total) =>
            {
                hub.Send(feed.UserId, Frame.Of(new UnreadNotification(conversationId, count, total)), except);
                tell?.Invoke(count, total);
            });
        }
    }

    /// <summary>The feed of a user, if they are connected to this node.</summary>
    public UserFeed? FeedOf(Guid userId) => feeds.GetValueOrDefault(userId);

    /// <summary>
    /// Before auth_success: the node listens for the user and knows their positions. So whatever is committed after
    /// auth_success arrives on this connection.
    /// </summary>
    public async ValueTask OpeningAsync(Connection connection)
    {
        var userId = connection.User.Id;
        UserFeed feed;
        lock (gate)
        {
            feed = feeds.GetOrAdd(userId, id => new UserFeed(id, hub, time));
            feed.Connections++;
        }

        await backplane.SubscribeAsync(userId);
        await LoadAsync(feed);
    }

    public ValueTask ClosedAsync(Connection connection)
    {
        var userId = connection.User.Id;
        backplane.Unsubscribe(userId);
        lock (gate)
        {
            if (!feeds.TryGetValue(userId, out var feed))
                return ValueTask.CompletedTask;
            feed.Forget(connection);
            if (--feed.Connections == 0)
                feeds.TryRemove(userId, out _);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Loads the positions of a feed that has none yet.</summary>
    public async ValueTask LoadAsync(UserFeed feed)
    {
        if (feed.IsLoaded)
            return;
        try
        {
            feed.Load(await unread.LoadAsync(feed.UserId));
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            // Nothing is committed meanwhile, so nothing is missed; the repair tries again.
            PositionsPending(feed.UserId, failure.Message);
        }
    }

    void INodeHandler<ChangeCommitted>.Handle(Guid userId, ChangeCommitted received)
    {
        using var span = Tracing.Push(received.Trace);
        FeedOf(userId)?.Offer(new Change(received.Message));
    }

    void INodeHandler<CursorMoved>.Handle(Guid userId, CursorMoved received) =>
        recounts.Writer.TryWrite((userId, received.ConversationId));

    void INodeHandler<ReceiptTold>.Handle(Guid userId, ReceiptTold received) =>
        FeedOf(userId)?.Tell(received.ConversationId, received.Cursor, new Frame(received.Frame));

    [LoggerMessage(LogLevel.Warning, "The database is away: the positions of {UserId} are loaded later ({Reason})")]
    private partial void PositionsPending(Guid userId, string reason);
}
