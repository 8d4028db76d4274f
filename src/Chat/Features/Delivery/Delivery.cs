using System.Collections.Concurrent;
using System.Text.Json.Serialization.Metadata;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;

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
        slice.AddHostedService<DeliveryRepair>()
            .AddHostedService<UnreadRefresher>()
            .ObserveConnections<Delivery>()
            .HandleNodeEvent<ChangeCommitted, Delivery>()
            .HandleNodeEvent<CursorMoved, UnreadRefresher>();
    }
}

/// <summary>The event <c>message.new</c>: to all connections of all members, but the one that sent it.</summary>
/// <param name="Message">The message; with its tempId on the sender's own connections.</param>
public sealed record NewMessage(Message Message) : IEvent<NewMessage>
{
    /// <inheritdoc/>
    public static string Name => "message.new";

    /// <inheritdoc/>
    public static JsonTypeInfo<NewMessage> Json => FeatureJson.Wire.NewMessage;
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
    public static JsonTypeInfo<ConversationUpdated> Json => FeatureJson.Wire.ConversationUpdated;
}

/// <summary>The event <c>notification.unread</c>: to the connections of whoever has something to read, or has just read it.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Unread">How many messages are unread there.</param>
/// <param name="TotalUnread">How many are unread over all conversations.</param>
public sealed record NotificationUnread(Guid ConversationId, long Unread, long TotalUnread) : IEvent<NotificationUnread>
{
    /// <inheritdoc/>
    public static string Name => "notification.unread";

    /// <inheritdoc/>
    public static JsonTypeInfo<NotificationUnread> Json => FeatureJson.Wire.NotificationUnread;
}

/// <summary>Node event: a change to a conversation of the channel's user was committed.</summary>
/// <param name="Message">The message in its new state.</param>
/// <param name="Trace">The span that pushes it (W3C's traceparent), where somebody follows it.</param>
internal sealed record ChangeCommitted(Message Message, string? Trace = null) : IEvent<ChangeCommitted>
{
    public static string Name => "change";

    public static JsonTypeInfo<ChangeCommitted> Json => FeatureJson.Wire.ChangeCommitted;
}

/// <summary>The feeds of the users who are connected to this node, and what comes into them.</summary>
internal sealed partial class Delivery : IConnectionObserver, INodeHandler<ChangeCommitted>
{
    private readonly Hub hub;
    private readonly RedisBackplane backplane;
    private readonly UnreadQuery unread;
    private readonly TimeProvider time;
    private readonly ILogger<Delivery> log;
    private readonly ConcurrentDictionary<Guid, UserFeed> feeds = new();
    private readonly Lock gate = new();

    /// <summary>Made once a node.</summary>
    public Delivery(Hub hub, RedisBackplane backplane, UnreadQuery unread, ServerMetrics metrics, TimeProvider time, ILogger<Delivery> log)
    {
        this.hub = hub;
        this.backplane = backplane;
        this.unread = unread;
        this.time = time;
        this.log = log;
        metrics.ObserveFeeds(() => feeds.Count);
    }

    /// <summary>Every feed of this node. No copy, which would be a large one several times a second.</summary>
    public IEnumerable<UserFeed> Feeds => feeds.Select(entry => entry.Value);

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

    /// <summary>The feed of a user, if they are connected to this node.</summary>
    public UserFeed? FeedOf(Guid userId) => feeds.GetValueOrDefault(userId);

    /// <summary>
    /// Before auth_success: the node listens for the user and knows their positions. So whatever is committed after
    /// auth_success arrives on this connection.
    /// </summary>
    public async ValueTask OnOpeningAsync(Connection connection)
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

    public ValueTask OnClosedAsync(Connection connection)
    {
        var userId = connection.User.Id;
        backplane.Unsubscribe(userId);
        lock (gate)
        {
            if (!feeds.TryGetValue(userId, out var feed))
                return ValueTask.CompletedTask;
            feed.RemoveConnection(connection);
            if (--feed.Connections == 0)
                feeds.TryRemove(userId, out _);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Loads the positions of a feed that has none yet, once for all who want them at a time.</summary>
    public async ValueTask LoadAsync(UserFeed feed)
    {
        if (feed.IsLoaded)
            return;
        Task loading;
        lock (gate)
            loading = feed.Loading is { IsCompleted: false } other ? other : feed.Loading = Task.Run(() => LoadNowAsync(feed));
        await loading;
    }

    private async Task LoadNowAsync(UserFeed feed)
    {
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

    [LoggerMessage(242, LogLevel.Debug, "The positions of {UserId} are loaded once PostgreSQL is back ({Reason})")]
    private partial void PositionsPending(Guid userId, string reason);
}
