using Chat.Telemetry;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// The node's connection to Redis, and the node's id. Redis may be unavailable at startup and at any time after: commands
/// sent meanwhile are lost, which costs latency and never a message.
/// </summary>
public sealed class RedisConnection : IHostedService, IAsyncDisposable
{
    /// <summary>The timeout for waits on Redis, none of which is on the message path.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private const int DefaultConnectRetry = 3;
    private const int DefaultConnectTimeout = 5000;
    private readonly ConfigurationOptions options;
    private readonly ServerMetrics metrics;
    private readonly DependencyState dependency;
    private ConnectionMultiplexer? multiplexer;
    private bool isCluster;
    private volatile bool wasDisconnected;
    private int reconnectCount;
    private TaskCompletionSource reconnected = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Reads the connection string; <see cref="StartAsync"/> connects.</summary>
    internal RedisConnection(IConfiguration configuration, ServerMetrics metrics, DependencyStates dependencies)
    {
        this.metrics = metrics;
        dependency = dependencies.Redis;
        Keys = new RedisKeys(configuration["Redis:Prefix"] ?? "");
        options = ConfigurationOptions.Parse(configuration.GetConnectionString("Redis")!);
        options.AbortOnConnectFail = false;
        // Commands queued for an unavailable Redis would be stale by the time it is back.
        options.BacklogPolicy = BacklogPolicy.FailFast;
        // Constant and short: recovery of everything that uses Redis waits for this. The default backs off to ten seconds.
        options.ReconnectRetryPolicy = new LinearRetry((int)Timeout.TotalMilliseconds);
        // The startup does not wait for an unavailable Redis; by default it would for three times five seconds. Values other
        // than the library's defaults were set in the connection string and are respected.
        if (options.ConnectRetry == DefaultConnectRetry)
            options.ConnectRetry = 1;
        if (options.ConnectTimeout == DefaultConnectTimeout)
            options.ConnectTimeout = (int)(Timeout * 2).TotalMilliseconds;
        options.ClientName = $"chat-{NodeId:N}";
    }

    /// <summary>Identifies this node among its peers, from start to stop.</summary>
    public Guid NodeId { get; } = Guid.CreateVersion7();

    /// <summary>The names of keys and channels.</summary>
    public RedisKeys Keys { get; }

    /// <summary>Executes commands.</summary>
    public IDatabase Database => Multiplexer.GetDatabase();

    /// <summary>Manages subscriptions.</summary>
    public ISubscriber Subscriber => Multiplexer.GetSubscriber();

    /// <summary>Whether commands can be sent now.</summary>
    public bool IsConnected => multiplexer is { IsConnected: true };

    /// <summary>
    /// The number of reconnects so far. Subscriptions are renewed automatically, but messages published meanwhile are lost:
    /// consumers resynchronize once for each number that they have not seen.
    /// </summary>
    public int ReconnectCount => Volatile.Read(ref reconnectCount);

    private ConnectionMultiplexer Multiplexer => multiplexer ?? throw new InvalidOperationException("The host has not started.");

    /// <summary>Returns the time of the Redis server.</summary>
    public async Task<DateTimeOffset> GetServerTimeAsync() =>
        Multiplexer.GetServers().FirstOrDefault(server => server.IsConnected) is { } server
            ? new DateTimeOffset(DateTime.SpecifyKind(await server.TimeAsync(), DateTimeKind.Utc))
            : throw new TimeoutException("No server is connected.");

    /// <summary>Completes once <see cref="ReconnectCount"/> exceeds <paramref name="seen"/>.</summary>
    public Task WaitForReconnectAsync(int seen, CancellationToken stopping)
    {
        // Read before the comparison: a reconnect in between completes it.
        var next = Volatile.Read(ref reconnected).Task;
        return ReconnectCount > seen ? Task.CompletedTask : next.WaitAsync(stopping);
    }

    /// <summary>Returns the channel for a name; sharded (Redis 7) if the server is a cluster.</summary>
    public RedisChannel Channel(string name) => isCluster ? RedisChannel.Sharded(name) : RedisChannel.Literal(name);

    /// <summary>Whether Redis has confirmed a subscription to this channel.</summary>
    public bool IsSubscribed(RedisChannel channel) => Subscriber.SubscribedEndpoint(channel) is not null;

    /// <summary>Retries all subscriptions that are not confirmed.</summary>
    public Task ResubscribeAsync() => Multiplexer.ReconfigureAsync("subscriptions are missing");

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        multiplexer = await ConnectionMultiplexer.ConnectAsync(options);
        isCluster = multiplexer.GetServers().Any(server => server.ServerType == ServerType.Cluster);
        wasDisconnected = !multiplexer.IsConnected;
        if (wasDisconnected)
            dependency.Failed("it does not answer");
        multiplexer.ConnectionFailed += (_, failed) =>
        {
            wasDisconnected = true;
            dependency.Failed(failed.Exception is { } failure ? ReasonOf(failure) : $"{failed.FailureType}");
            metrics.RedisConnectionLost();
        };
        multiplexer.ConnectionRestored += (_, restored) =>
        {
            // The library also reports its first connection as restored, and may do so only now.
            if (!wasDisconnected)
                return;
            Interlocked.Increment(ref reconnectCount);
            Interlocked.Exchange(ref reconnected, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
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

    /// <summary>Returns the cause of a failure, without the diagnostic counters that the library appends.</summary>
    internal static string ReasonOf(Exception failure)
    {
        var text = (failure.InnerException ?? failure).Message.ReplaceLineEndings(" ");
        var end = text.IndexOf(',', StringComparison.Ordinal);
        return end > 0 ? text[..end] : text;
    }
}
