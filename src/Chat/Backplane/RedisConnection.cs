using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// The node's one connection to Redis, and the node's name there. Redis may be away at the start and at any time
/// after: what is sent to it then is lost, which costs speed and never a message.
/// </summary>
public sealed partial class RedisConnection : IHostedService, IAsyncDisposable
{
    /// <summary>How long anybody off the message path waits for Redis.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly ConfigurationOptions options;
    private readonly ServerMetrics metrics;
    private readonly ILogger<RedisConnection> log;
    private ConnectionMultiplexer? multiplexer;
    private bool isCluster;
    private volatile bool wasAway;
    private int returns;
    private TaskCompletionSource returned = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Reads the connection string; <see cref="StartAsync"/> connects.</summary>
    public RedisConnection(IConfiguration configuration, ServerMetrics metrics, ILogger<RedisConnection> log)
    {
        this.metrics = metrics;
        this.log = log;
        Names = new RedisNames(configuration["Redis:Prefix"] ?? "");
        options = ConfigurationOptions.Parse(configuration.GetConnectionString("Redis")!);
        options.AbortOnConnectFail = false;
        // What waited for a Redis that was away is out of date when it is back.
        options.BacklogPolicy = BacklogPolicy.FailFast;
        // Even and short: everything that Redis' absence slows down waits for this. The default backs off to ten seconds.
        options.ReconnectRetryPolicy = new LinearRetry((int)Patience.TotalMilliseconds);
        options.ClientName = $"chat-{NodeId:N}";
    }

    /// <summary>Names this node among its equals, from start to stop.</summary>
    public Guid NodeId { get; } = Guid.CreateVersion7();

    /// <summary>Keys and channels.</summary>
    public RedisNames Names { get; }

    /// <summary>Commands.</summary>
    public IDatabase Database => Multiplexer.GetDatabase();

    /// <summary>Subscriptions.</summary>
    public ISubscriber Subscriber => Multiplexer.GetSubscriber();

    /// <summary>Whether commands can be sent at the moment.</summary>
    public bool IsConnected => multiplexer is { IsConnected: true };

    /// <summary>
    /// How often Redis has come back so far. Subscriptions are renewed by themselves; what was published is lost, and
    /// whoever must make up for it does so for each number that they have not done it for.
    /// </summary>
    public int Returns => Volatile.Read(ref returns);

    private ConnectionMultiplexer Multiplexer => multiplexer ?? throw new InvalidOperationException("The host has not started.");

    /// <summary>Completes once Redis has come back more often than so many times.</summary>
    public Task BackAsync(int seen, CancellationToken stopping)
    {
        // Taken before the look: a return in between completes it.
        var next = Volatile.Read(ref returned).Task;
        return Returns > seen ? Task.CompletedTask : next.WaitAsync(stopping);
    }

    /// <summary>The channel of a name: a sharded one (Redis 7) where the server is a cluster.</summary>
    public RedisChannel Channel(string name) => isCluster ? RedisChannel.Sharded(name) : RedisChannel.Literal(name);

    /// <summary>Whether Redis has confirmed a subscription to this channel.</summary>
    public bool Hears(RedisChannel channel) => Subscriber.SubscribedEndpoint(channel) is not null;

    /// <summary>Asks once more for all subscriptions that are not confirmed.</summary>
    public Task ResubscribeAsync() => Multiplexer.ReconfigureAsync("subscriptions are missing");

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        multiplexer = await ConnectionMultiplexer.ConnectAsync(options);
        isCluster = multiplexer.GetServers().Any(server => server.ServerType == ServerType.Cluster);
        wasAway = !multiplexer.IsConnected;
        multiplexer.ConnectionFailed += (_, failed) =>
        {
            wasAway = true;
            Lost(failed.ConnectionType, failed.FailureType);
            metrics.RedisLost();
        };
        multiplexer.ConnectionRestored += (_, restored) =>
        {
            // The library calls its first connection restored, too, and may get to say so only now.
            if (!wasAway)
                return;
            Back(restored.ConnectionType);
            Interlocked.Increment(ref returns);
            Interlocked.Exchange(ref returned, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        };
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (multiplexer is not null)
            await multiplexer.DisposeAsync();
    }

    [LoggerMessage(LogLevel.Warning, "Redis is away ({Connection}: {Reason}); messages go on, other nodes get them from the database")]
    private partial void Lost(ConnectionType connection, ConnectionFailureType reason);

    [LoggerMessage(LogLevel.Information, "Redis is back ({Connection})")]
    private partial void Back(ConnectionType connection);
}
