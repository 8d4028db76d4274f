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
/// Delivers every committed change to every connection of every member: once, in sequence, on any node. The log feeds local
/// connections directly; other nodes receive one publish per recipient and feed theirs. What is lost between nodes is
/// detected by its sequence number or by the journal, and fetched from the database (<see cref="DeliveryRepair"/>), which holds
/// the only state that must not be lost.
/// </summary>
public sealed class DeliverySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<Delivery>();
        slice.Services.AddSingleton<LocalMembers>();
        slice.AddHostedService<DeliveryRepair>()
            .ObserveJournal<DeliveryRepair>()
            .AddHostedService<DeliverySweep>()
            .AddHostedService<UnreadRefresher>()
            .ObserveConnections<Delivery>()
            .HandleNodeEvent<ChangeCommitted, Delivery>()
            .HandleNodeEvent<CursorMoved, UnreadRefresher>();
    }
}

/// <summary>The event <c>message.new</c>: sent to all connections of all members except the one that sent the message.</summary>
/// <param name="Message">The message; includes the tempId on the sender's own connections.</param>
public sealed record NewMessage(Message Message) : IEvent<NewMessage>
{
    /// <inheritdoc/>
    public static string Name => "message.new";

    /// <inheritdoc/>
    public static JsonTypeInfo<NewMessage> Json => FeatureJson.Wire.NewMessage;
}

/// <summary>The event <c>conversation.updated</c>: sent to all connections of all members.</summary>
/// <param name="ConversationId">The conversation id.</param>
/// <param name="LastMessage">The latest message.</param>
/// <param name="Seq">The sequence number of the latest change.</param>
public sealed record ConversationUpdated(Guid ConversationId, Message LastMessage, long Seq) : IEvent<ConversationUpdated>
{
    /// <inheritdoc/>
    public static string Name => "conversation.updated";

    /// <inheritdoc/>
    public static JsonTypeInfo<ConversationUpdated> Json => FeatureJson.Wire.ConversationUpdated;
}

/// <summary>The event <c>notification.unread</c>: sent to a user's connections when their unread count changes.</summary>
/// <param name="ConversationId">The conversation id.</param>
/// <param name="Unread">The number of unread messages in the conversation.</param>
/// <param name="TotalUnread">The number of unread messages in all conversations.</param>
public sealed record NotificationUnread(Guid ConversationId, long Unread, long TotalUnread) : IEvent<NotificationUnread>
{
    /// <inheritdoc/>
    public static string Name => "notification.unread";

    /// <inheritdoc/>
    public static JsonTypeInfo<NotificationUnread> Json => FeatureJson.Wire.NotificationUnread;
}

/// <summary>Node event: a change to a conversation of the channel's user was committed.</summary>
/// <param name="Message">The message in its new state.</param>
/// <param name="Trace">The publishing span as a W3C traceparent; null if it is not sampled.</param>
internal sealed record ChangeCommitted(Message Message, string? Trace = null) : IEvent<ChangeCommitted>
{
    public static string Name => "change";

    public static JsonTypeInfo<ChangeCommitted> Json => FeatureJson.Wire.ChangeCommitted;
}

/// <summary>Owns the feeds of all users connected to this node, and routes changes into them.</summary>
internal sealed partial class Delivery : IConnectionObserver, INodeHandler<ChangeCommitted>
{
    private readonly Hub hub;
    private readonly RedisBackplane backplane;
    private readonly UnreadQuery unread;
    private readonly LocalMembers members;
    private readonly TimeProvider time;
    private readonly ILogger<Delivery> log;
    private readonly ConcurrentDictionary<Guid, UserFeed> feeds = new();
    private readonly Lock gate = new();

    /// <summary>Creates the node's only instance.</summary>
    public Delivery(Hub hub, RedisBackplane backplane, UnreadQuery unread, LocalMembers members, ServerMetrics metrics, TimeProvider time,
        ILogger<Delivery> log)
    {
        this.hub = hub;
        this.backplane = backplane;
        this.unread = unread;
        this.members = members;
        this.time = time;
        this.log = log;
        metrics.ObserveFeeds(() => feeds.Count);
    }

    /// <summary>All feeds of this node. Not a copy: it would be large and made several times a second.</summary>
    public IEnumerable<UserFeed> Feeds => feeds.Select(entry => entry.Value);

    /// <summary>
    /// Registers the reply to a message that is about to be committed; it is sent at the message's position, whoever offers it
    /// first.
    /// </summary>
    public void Expect(Guid sender, Guid conversationId, PendingReply reply) => FeedOf(sender)?.Expect(conversationId, reply);

    /// <summary>Delivers a change that this node has committed to all members. Must be called in sequence.</summary>
    public void Committed(Change change, IReadOnlyCollection<Guid> members, PendingReply? reply = null)
    {
        using var span = Tracing.Push();
        var replied = reply is null;
        foreach (var member in members)
        {
            var memberReply = reply?.Connection.User.Id == member ? reply : null;
            if (feeds.TryGetValue(member, out var feed))
            {
                feed.Offer(change, memberReply);
                replied |= memberReply is not null;
            }
        }

        Failpoint.Reach(Failpoint.AfterAck, change.Message.Content, grace: 200);
        backplane.Publish(members, new ChangeCommitted(change.Message, span?.Id));

        // The sender's last connection may have closed during the commit.
        if (!replied)
            reply!.Send(change);
    }

    /// <summary>Returns the feed of a user who is connected to this node; otherwise null.</summary>
    public UserFeed? FeedOf(Guid userId) => feeds.GetValueOrDefault(userId);

    /// <summary>
    /// Subscribes to the user's channel and loads their positions before auth_success is sent, so that the connection
    /// receives everything committed after auth_success.
    /// </summary>
    public async ValueTask OnOpeningAsync(Connection connection)
    {
        var userId = connection.User.Id;
        UserFeed feed;
        lock (gate)
        {
            feed = feeds.GetOrAdd(userId, id => new UserFeed(id, hub, members, time));
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
            if (--feed.Connections == 0 && feeds.TryRemove(userId, out _))
                feed.Remove();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Loads the positions of a feed that has none yet. Concurrent callers share one load.</summary>
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
            var (rows, snapshot) = await unread.LoadAllAsync(feed.UserId);
            feed.Load(rows, snapshot);
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            // Nothing can be committed during the outage, so nothing is missed; the repair retries.
            PositionsPending(feed.UserId, failure.Message);
        }
    }

    void INodeHandler<ChangeCommitted>.Handle(Guid userId, ChangeCommitted received)
    {
        using var span = Tracing.Push(received.Trace);
        FeedOf(userId)?.Offer(new Change(received.Message));
    }

    [LoggerMessage(242, LogLevel.Debug, "Cannot load the positions of {UserId}; retrying when PostgreSQL is available ({Reason})")]
    private partial void PositionsPending(Guid userId, string reason);
}
