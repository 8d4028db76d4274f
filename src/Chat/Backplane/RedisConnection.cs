using Chat.Telemetry;
using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>
/// The node's one connection to Redis, and the node's name there. Redis may be away at the start and at any time
/// after: what is sent to it then is lost, which costs speed and never a message.
/// </summary>
public sealed class RedisConnection : IHostedService, IAsyncDisposable
{
    /// <summary>How long anybody off the message path waits for Redis.</summary>
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
        // What waited for a Redis that was away is out of date when it is back.
        options.BacklogPolicy = BacklogPolicy.FailFast;
        // Even and short: everything that Redis' absence slows down waits for this. The default backs off to ten seconds.
        options.ReconnectRetryPolicy = new LinearRetry((int)Timeout.TotalMilliseconds);
        // A start does not wait for a Redis that is away: by default it would for three times five seconds. These two are
        // the library's defaults, and else what the connection string says.
        if (options.ConnectRetry == DefaultConnectRetry)
            options.ConnectRetry = 1;
        if (options.ConnectTimeout == DefaultConnectTimeout)
            options.ConnectTimeout = (int)(Timeout * 2).TotalMilliseconds;
        options.ClientName = $"chat-{NodeId:N}";
    }

    /// <summary>Names this node among its equals, from start to stop.</summary>
    public Guid NodeId { get; } = Guid.CreateVersion7();

    /// <summary>Keys and channels.</summary>
    public RedisKeys Keys { get; }

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
    public int ReconnectCount => Volatile.Read(ref reconnectCount);

    private ConnectionMultiplexer Multiplexer => multiplexer ?? throw new InvalidOperationException("The host has not started.");

    /// <summary>What Redis takes the time to be.</summary>
    public async Task<DateTimeOffset> GetServerTimeAsync() =>
        Multiplexer.GetServers().FirstOrDefault(server => server.IsConnected) is { } server
            ? new DateTimeOffset(DateTime.SpecifyKind(await server.TimeAsync(), DateTimeKind.Utc))
            : throw new TimeoutException("No server is connected.");

    /// <summary>Completes once Redis has come back more often than so many times.</summary>
    public Task WaitForReconnectAsync(int seen, CancellationToken stopping)
    {
        // Taken before the look: a return in between completes it.
        var next = Volatile.Read(ref reconnected).Task;
        return ReconnectCount > seen ? Task.CompletedTask : next.WaitAsync(stopping);
    }

    /// <summary>The channel of a name: a sharded one (Redis 7) where the server is a cluster.</summary>
    public RedisChannel Channel(string name) => isCluster ? RedisChannel.Sharded(name) : RedisChannel.Literal(name);

    /// <summary>Whether Redis has confirmed a subscription to this channel.</summary>
    public bool IsSubscribed(RedisChannel channel) => Subscriber.SubscribedEndpoint(channel) is not null;

    /// <summary>Asks once more for all subscriptions that are not confirmed.</summary>
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
            // The library calls its first connection restored, too, and may get to say so only now.
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

    /// <summary>What went wrong, without the dozens of numbers that the library adds to it.</summary>
    internal static string ReasonOf(Exception failure)
    {
        var text = (failure.InnerException ?? failure).Message.ReplaceLineEndings(" ");
        var end = text.IndexOf(',', StringComparison.Ordinal);
        return end > 0 ? text[..end] : text;
    }
}
