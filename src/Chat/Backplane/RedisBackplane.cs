using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using Chat.Socket;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// Carries events between nodes, over one Redis channel per user and one for all nodes. Publishing is fire and forget:
/// nothing on the message path waits for Redis, and nothing published is the only copy. A node subscribes once to the
/// channel of each user that it has connections of, and ignores what it published itself.
/// </summary>
public sealed partial class RedisBackplane : IHostedService, INodeHandler<ForwardedFrame>
{
    private const int NodeIdLength = 16;

    private readonly Hub hub;
    private readonly RedisConnection redis;
    private readonly RedisSubscriptions channels;
    private readonly PeerDetector peers;
    private readonly TimeProvider time;
    private readonly ILogger<RedisBackplane> log;
    private readonly Lazy<FrozenDictionary<string, NodeRoute>> routes;
    private readonly Dictionary<Guid, Subscription> subscriptions = [];
    private readonly Lock gate = new();

    internal RedisBackplane(Hub hub, RedisConnection redis, RedisSubscriptions channels, PeerDetector peers,
        Func<IEnumerable<NodeRoute>> routes, TimeProvider time, ILogger<RedisBackplane> log)
    {
        this.hub = hub;
        this.redis = redis;
        this.channels = channels;
        this.peers = peers;
        this.time = time;
        this.log = log;
        // Lazy, because handlers of node events publish, too.
        this.routes = new(() => routes().Append(new NodeRoute<ForwardedFrame>(this)).ToFrozenDictionary(route => route.Name));
    }

    /// <summary>The number of users that this node is subscribed to.</summary>
    public int Subscriptions
    {
        get
        {
            lock (gate)
                return subscriptions.Count;
        }
    }

    /// <summary>Sends a frame to all connections of a user, on every node.</summary>
    public void Send(Guid userId, Frame frame, Connection? except = null)
    {
        hub.Send(userId, frame, except);
        Publish(userId, new ForwardedFrame(frame.Bytes.ToArray(), frame.Droppable));
    }

    /// <summary>Publishes an event to the other nodes with connections of a user.</summary>
    public void Publish<TEvent>(Guid userId, TEvent sent)
        where TEvent : IEvent<TEvent> => Publish([userId], sent);

    /// <summary>Publishes an event, encoded once, to the channels of several users.</summary>
    public void Publish<TEvent>(IEnumerable<Guid> users, TEvent sent)
        where TEvent : IEvent<TEvent> => PublishOn(users.Select(redis.Keys.UserChannel), sent);

    /// <summary>Publishes an event to all other nodes; their handlers get an empty user id.</summary>
    public void PublishToAll<TEvent>(TEvent sent)
        where TEvent : IEvent<TEvent> => PublishOn([redis.Keys.AllNodesChannel], sent);

    /// <summary>
    /// Subscribes to a user's channel; called once per connection. Completes when Redis has confirmed, or after
    /// <see cref="RedisConnection.Timeout"/>; until it is confirmed, the position check delivers.
    /// </summary>
    public async ValueTask SubscribeAsync(Guid userId)
    {
        Subscription subscription;
        lock (gate)
        {
            if (!subscriptions.TryGetValue(userId, out subscription!))
                subscriptions.Add(userId, subscription = AddSubscription(userId));
            subscription.Connections++;
        }

        try
        {
            await subscription.Confirmed.WaitAsync(RedisConnection.Timeout, time);
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            // RedisSubscriptions renews it later; meanwhile the position check delivers.
            SubscriptionPending(userId, failure.Message);
        }
    }

    /// <summary>Unsubscribes from a user's channel when the user's last connection is gone.</summary>
    public void Unsubscribe(Guid userId)
    {
        Subscription? subscription;
        lock (gate)
        {
            if (!subscriptions.TryGetValue(userId, out subscription) || --subscription.Connections > 0)
                return;
            subscriptions.Remove(userId);
        }

        _ = ReleaseAsync(subscription);
    }

    void INodeHandler<ForwardedFrame>.Handle(Guid userId, ForwardedFrame received) =>
        hub.Send(userId, new Frame(received.Bytes, received.Droppable));

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _ = routes.Value;
        // Before any user's channel, on the same connection: once one of those is confirmed, this one is, too.
        channels.Subscribe(redis.Keys.AllNodesChannel, received => Handle(Guid.Empty, (byte[])received.Message!));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void PublishOn<TEvent>(IEnumerable<string> names, TEvent sent)
        where TEvent : IEvent<TEvent>
    {
        if (!peers.MayHavePeers)
            return;
        var payload = JsonSerializer.SerializeToUtf8Bytes(sent, TEvent.Json);
        var message = new byte[NodeIdLength + 1 + TEvent.Name.Length + payload.Length];
        redis.NodeId.TryWriteBytes(message);
        message[NodeIdLength] = (byte)TEvent.Name.Length;
        Encoding.ASCII.GetBytes(TEvent.Name, message.AsSpan(NodeIdLength + 1));
        payload.CopyTo(message.AsSpan(NodeIdLength + 1 + TEvent.Name.Length));
        foreach (var name in names)
            redis.Database.Publish(redis.Channel(name), message, CommandFlags.FireAndForget);
    }

    // Under the lock, like unsubscribing: the library loses a handler that is added to a channel in the very moment in which
    // the last one is removed.
    private Subscription AddSubscription(Guid userId) =>
        new(channels.Subscribe(redis.Keys.UserChannel(userId), received => Handle(userId, (byte[])received.Message!)),
            channels.FlushAsync());

    private async Task ReleaseAsync(Subscription subscription)
    {
        // The library unsubscribes only from confirmed subscriptions. After a reconnect it has subscribed again by itself, so
        // the first confirmation is no longer meaningful: wait for the commands in flight.
        await channels.FlushAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (gate)
            channels.Unsubscribe(subscription.Queue);
    }

    private void Handle(Guid userId, byte[] message)
    {
        try
        {
            if (new Guid(message.AsSpan(0, NodeIdLength)) == redis.NodeId)
                return;
            var nameLength = message[NodeIdLength];
            var name = Encoding.ASCII.GetString(message, NodeIdLength + 1, nameLength);
            // A newer node may publish events that this one does not know.
            if (routes.Value.TryGetValue(name, out var route))
                route.Handle(userId, message.AsSpan(NodeIdLength + 1 + nameLength));
        }
#pragma warning disable CA1031 // Error boundary: a malformed message must not end the user's subscription.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            EventFailed(failure, userId);
        }
    }

    [LoggerMessage(230, LogLevel.Debug, "The subscription for {UserId} is not confirmed by Redis yet ({Reason})")]
    private partial void SubscriptionPending(Guid userId, string reason);

    [LoggerMessage(231, LogLevel.Error, "Handling an event from another node for {UserId} failed")]
    private partial void EventFailed(Exception failure, Guid userId);

    private sealed class Subscription(ChannelMessageQueue queue, Task confirmed)
    {
        public ChannelMessageQueue Queue => queue;

        public Task Confirmed => confirmed;

        public int Connections { get; set; }
    }
}
