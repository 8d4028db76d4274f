using System.Collections.Concurrent;
using System.ComponentModel;
using System.Globalization;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Features;

/// <summary>
/// Tells a load balancer whether to send people here, and an engineer what is missing. <c>/health/live</c>: the
/// process answers. <c>/health/ready</c>: PostgreSQL, a write to Redis and a message of this node to itself through pub/sub all
/// work, the keys that tokens are checked with are there, and the node is neither stopping nor draining; 503 with what is not so. Outside
/// Development a PostgreSQL that may lose what it has confirmed is <c>degraded</c>: still a 200, because no other node
/// would be better off. Whoever asks may leave parts out: a Redis that is away from all nodes alike is no reason to send
/// nobody to any of them, and that no node can know.
/// </summary>
public sealed class HealthSlice : ISlice
{
    private const string Ok = "ok";
    private const string Degraded = "degraded";
    private const string Unavailable = "unavailable";

    // Load balancers like to ask without wanting a body.
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.AddHostedService<PubSubCheck>();
        slice.Services.Configure<HealthCheckPublisherOptions>(options =>
        {
            options.Delay = TimeSpan.Zero;
            options.Period = TimeSpan.FromSeconds(10);
            options.Predicate = check => check.Tags.Contains(Readiness.Tag);
        });
        slice.Services.AddSingleton<Readiness>();
        slice.Services.AddSingleton<IHealthCheckPublisher, HealthMetrics>();
        slice.Services.AddHealthChecks()
            .AddCheck<ServerCheck>("server", tags: [Readiness.Tag, Readiness.FreeTag])
            .AddCheck<PostgresCheck>("postgres", tags: [Readiness.Tag])
            .AddCheck<RedisCheck>("redis", tags: [Readiness.Tag])
            .AddCheck<PubSubCheck>("pubsub", tags: [Readiness.Tag])
            .AddCheck<IssuerCheck>("issuer", tags: [Readiness.Tag]);
    }

    /// <summary>Maps both addresses; whoever asks needs no token.</summary>
    public static void Map(IEndpointRouteBuilder app)
    {
        var healthy = new HealthAnswer(Ok, new Dictionary<string, string> { ["server"] = Ok, ["postgres"] = Ok, ["redis"] = Ok, ["pubsub"] = Ok, ["issuer"] = Ok });
        var health = app.MapGroup("/health").AllowAnonymous().WithTags("Health");
        health.MapMethods("live", Methods, (HttpContext http) => Answer(http, new HealthReport(new Dictionary<string, HealthReportEntry>(), TimeSpan.Zero)))
            .Describe("getLive", "Whether the process answers.", "Looks at nothing else: a node that fails this is to be restarted.")
            .Returns(StatusCodes.Status200OK, "It does.", new HealthAnswer(Ok, new Dictionary<string, string>()));
        health.MapMethods("ready", Methods, async (Readiness readiness, HttpContext http, [Description("Parts of `checks` to leave out, for who has no other place to send people to: `?exclude=redis&exclude=pubsub`.")] string[]? exclude) =>
                Answer(http, await readiness.CheckAsync(exclude ?? [], http.RequestAborted)))
            .Describe("getReady", "Whether to send people here.", "PostgreSQL and Redis work, Redis takes writes and delivers a message of this node to itself through pub/sub, the keys that tokens are checked with are there, and the node is not stopping. An answer may be a second old.")
            .Returns(StatusCodes.Status200OK, "Everything works; or, if `status` is `degraded`, all that people notice.", healthy)
            .Returns(StatusCodes.Status503ServiceUnavailable, "Something does not; `checks` says what.", healthy with { Status = Unavailable, Checks = new Dictionary<string, string>(healthy.Checks) { ["redis"] = "does not answer" } });
    }

    private static JsonHttpResult<HealthAnswer> Answer(HttpContext http, HealthReport report)
    {
        http.Response.Headers.CacheControl = "no-store, no-cache";
        return TypedResults.Json(
            AnswerTo(report), FeatureJson.Wire.HealthAnswer,
            statusCode: report.Status == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    /// <summary>A report in the words of the answer.</summary>
    internal static HealthAnswer AnswerTo(HealthReport report) => new(
        report.Status switch { HealthStatus.Healthy => Ok, HealthStatus.Degraded => Degraded, _ => Unavailable },
        report.Entries.ToDictionary(entry => entry.Key, entry => entry.Value.Status == HealthStatus.Healthy ? Ok : entry.Value.Description ?? "failed"));
}

/// <summary>The answer of both addresses.</summary>
/// <param name="Status"><c>ok</c>, <c>degraded</c> or <c>unavailable</c>.</param>
/// <param name="Checks">Each part: <c>ok</c>, or what is wrong with it.</param>
public sealed record HealthAnswer(string Status, IReadOnlyDictionary<string, string> Checks);

/// <summary>Makes a metric of what readiness says, so that it can be seen by who does not ask for readiness.</summary>
internal sealed partial class HealthMetrics(ServerMetrics metrics, DependencyStates dependencies, ILogger<HealthMetrics> log) : IHealthCheckPublisher
{
    private const string Well = "ok";
    private readonly Dictionary<string, string> said = [];

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        foreach (var (part, entry) in report.Entries)
        {
            metrics.RecordHealth(part, entry.Status switch { HealthStatus.Healthy => 1, HealthStatus.Degraded => 0.5, _ => 0 });
            var now = entry.Status == HealthStatus.Healthy || IsTold(part) ? Well : entry.Description ?? "failed";
            if (said.GetValueOrDefault(part, Well) != now)
                Changed(part, now);
            said[part] = now;
        }

        return Task.CompletedTask;
    }

    // An outage is told as it happens, by what finds out. Here is what is none: Redis that takes no writes, or stands still.
    private bool IsTold(string part) => part switch
    {
        "postgres" => dependencies.Postgres.IsUnavailable,
        "redis" => dependencies.Redis.IsUnavailable,
        _ => false,
    };

    [LoggerMessage(130, LogLevel.Warning, "Readiness of {Part}: {State}")]
    private partial void Changed(string part, string state);
}

/// <summary>
/// The node itself: whether it stops or drains, and whether its clock is right. One that is off by more than the skew refuses fresh
/// tokens, or takes those that have expired. Redis is the second witness: if it is PostgreSQL's clock that is off, no node is
/// worse than another.
/// </summary>
internal sealed class ServerCheck(Hub hub, DatabaseMonitor database, RedisConnection redis, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (hub.State is not NodeState.Serving and var state)
            return HealthCheckResult.Unhealthy(state == NodeState.Stopping ? "stopping" : "draining");
        var ahead = database.ClockDifference;
        if (ahead.Duration() <= JwtSettings.ClockSkew)
            return HealthCheckResult.Healthy();
        var off = string.Create(CultureInfo.InvariantCulture, $"{ahead.Duration().TotalSeconds:0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")}");
        return await RedisAgreesAsync(cancellationToken)
            ? HealthCheckResult.Degraded($"its clock is {off} PostgreSQL's, and agrees with Redis': look at PostgreSQL's machine")
            : HealthCheckResult.Unhealthy($"its clock is {off} PostgreSQL's: fresh tokens are refused, or expired ones taken");
    }

    private async Task<bool> RedisAgreesAsync(CancellationToken cancellationToken)
    {
        try
        {
            var now = await redis.GetServerTimeAsync().WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            return (time.GetUtcNow() - now).Duration() <= JwtSettings.ClockSkew;
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            return false;
        }
    }
}

internal sealed class PostgresCheck(DatabaseMonitor database, DependencyStates dependencies, IHostEnvironment environment, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var loses = await database.ProbeAsync(cancellationToken).WaitAsync(RedisConnection.Timeout * 2, time, cancellationToken);
            // What a send was refused for and a look at nothing is not: a full disk, say.
            if (dependencies.Postgres.Refusal is { } refusal)
                return HealthCheckResult.Unhealthy(refusal);
            return loses is null || environment.IsDevelopment()
                ? HealthCheckResult.Healthy()
                : HealthCheckResult.Degraded($"{loses} off: may lose what was acknowledged");
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy(DatabaseFailure.ReportedBy(failure) is null ? "does not answer" : DatabaseFailure.ReasonOf(failure));
        }
    }
}

internal sealed class RedisCheck(RedisConnection redis, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan KeyLife = TimeSpan.FromSeconds(10);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            // A write, because a Redis that is full, or a replica of another, goes on answering everything else.
            await redis.Database.StringSetAsync(redis.Keys.Ready(redis.NodeId), 1, KeyLife).WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (RedisServerException refused)
        {
            return HealthCheckResult.Unhealthy($"takes no writes ({refused.Message.Split(' ')[0]})");
        }
        catch (Exception failure) when (failure is RedisException or RedisCommandException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy("does not answer");
        }
    }
}

internal sealed class IssuerCheck(IssuerKeys keys) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        await keys.FetchAsync() ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("its keys are missing");
}

/// <summary>A message to oneself: finds the Redis that takes commands but delivers nothing, or not everything.</summary>
internal sealed class PubSubCheck(RedisConnection redis, RedisSubscriptions channels, TimeProvider time) : IHealthCheck, IHostedService
{
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource> underWay = new();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        channels.Subscribe(redis.Keys.Node(redis.NodeId), received =>
        {
            if (Guid.TryParse((string?)received.Message, out var id) && underWay.TryRemove(id, out var waiting))
                waiting.TrySetResult();
        });
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (channels.RefusedCount > 0)
            return HealthCheckResult.Unhealthy("Redis refuses subscriptions");
        var id = Guid.NewGuid();
        var waiting = underWay.GetOrAdd(id, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            await redis.Database.PublishAsync(redis.Channel(redis.Keys.Node(redis.NodeId)), id.ToString()).WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            await waiting.Task.WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy("a message to oneself does not come back");
        }
        finally
        {
            underWay.TryRemove(id, out _);
        }
    }
}
