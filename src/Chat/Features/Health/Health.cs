using System.Collections.Concurrent;
using System.ComponentModel;
using System.Globalization;
using Carter;
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
/// Health checks for load balancers and operators. <c>/health/live</c>: the process answers. <c>/health/ready</c>: PostgreSQL, a
/// write to Redis and a round trip through Redis pub/sub work, the token signing keys are loaded, and the node is neither
/// stopping nor draining; otherwise 503 with the failed checks. Outside Development, a PostgreSQL that may lose acknowledged
/// data is <c>degraded</c>: still 200, because no other node would do better. The caller may exclude checks: if Redis
/// is unavailable to all nodes, taking all of them out of rotation helps nobody, and a node cannot know that.
/// </summary>
public sealed class HealthSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.AddHostedService<PubSubCheck>().MapModule<HealthModule>();
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
}

/// <summary>The REST endpoints; they require no token. The admin port maps them, too.</summary>
public sealed class HealthModule : ICarterModule
{
    private const string Ok = "ok";
    private const string Degraded = "degraded";
    private const string Unavailable = "unavailable";

    // Load balancers often probe with HEAD.
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var healthy = new HealthAnswer(
            Ok, new Dictionary<string, string> { ["server"] = Ok, ["postgres"] = Ok, ["redis"] = Ok, ["pubsub"] = Ok, ["issuer"] = Ok });
        var health = app.MapGroup("/health").AllowAnonymous().WithTags("Health");
        health.MapMethods("live", Methods,
            (HttpContext http) => Answer(http, new HealthReport(new Dictionary<string, HealthReportEntry>(), TimeSpan.Zero)))
            .Describe("getLive", "Returns whether the process answers.", "Checks nothing else: restart a node that fails this.")
            .Returns(StatusCodes.Status200OK, "The process answers.", new HealthAnswer(Ok, new Dictionary<string, string>()));
        health.MapMethods(
            "ready", Methods,
            async (
                Readiness readiness, HttpContext http,
                [Description("Checks to exclude, for deployments without another node to fail over to: `?exclude=redis&exclude=pubsub`.")]
                    string[]? exclude) =>
                Answer(http, await readiness.CheckAsync(exclude ?? [], http.RequestAborted)))
            .Describe(
                "getReady", "Returns whether the node can take traffic.",
                "PostgreSQL and Redis work, Redis accepts writes and delivers this node's pub/sub messages, the token signing keys are loaded, and the node is not stopping. A response may be up to a second old.")
            .Returns(StatusCodes.Status200OK, "All checks pass; or `status` is `degraded`, which users do not notice.", healthy)
            .Returns(StatusCodes.Status503ServiceUnavailable, "A check fails; `checks` says which.", healthy with
            {
                Status = Unavailable,
                Checks = new Dictionary<string, string>(healthy.Checks) { ["redis"] = "does not answer" }
            });
    }

    private static JsonHttpResult<HealthAnswer> Answer(HttpContext http, HealthReport report)
    {
        http.Response.Headers.CacheControl = "no-store, no-cache";
        return TypedResults.Json(
            AnswerTo(report), FeatureJson.Wire.HealthAnswer,
            statusCode: report.Status == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    /// <summary>Converts a report to the response.</summary>
    internal static HealthAnswer AnswerTo(HealthReport report) => new(
        report.Status switch { HealthStatus.Healthy => Ok, HealthStatus.Degraded => Degraded, _ => Unavailable },
        report.Entries.ToDictionary(
            entry => entry.Key, entry => entry.Value.Status == HealthStatus.Healthy ? Ok : entry.Value.Description ?? "failed"));
}

/// <summary>The response of both endpoints.</summary>
/// <param name="Status"><c>ok</c>, <c>degraded</c> or <c>unavailable</c>.</param>
/// <param name="Checks">For each check: <c>ok</c>, or the reason why it fails.</param>
public sealed record HealthAnswer(string Status, IReadOnlyDictionary<string, string> Checks);

/// <summary>
/// Publishes the results of the readiness checks as a metric and logs their changes, for deployments that do not probe
/// readiness.
/// </summary>
internal sealed partial class HealthMetrics(ServerMetrics metrics, DependencyStates dependencies, ILogger<HealthMetrics> log)
    : IHealthCheckPublisher
{
    private const string Healthy = "ok";
    private readonly Dictionary<string, string> reported = [];

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        foreach (var (part, entry) in report.Entries)
        {
            metrics.RecordHealth(part, entry.Status switch { HealthStatus.Healthy => 1, HealthStatus.Degraded => 0.5, _ => 0 });
            var state = entry.Status == HealthStatus.Healthy || IsReportedElsewhere(part) ? Healthy : entry.Description ?? "failed";
            if (reported.GetValueOrDefault(part, Healthy) != state)
                Changed(part, state);
            reported[part] = state;
        }

        return Task.CompletedTask;
    }

    // Outages are logged where they are detected. This logs the rest: a Redis that rejects writes or does not respond.
    private bool IsReportedElsewhere(string part) => part switch
    {
        "postgres" => dependencies.Postgres.IsUnavailable,
        "redis" => dependencies.Redis.IsUnavailable,
        _ => false,
    };

    [LoggerMessage(130, LogLevel.Warning, "Readiness of {Part}: {State}")]
    private partial void Changed(string part, string state);
}

/// <summary>
/// Checks the node itself: whether it is stopping or draining, and whether its clock is right. A clock that is off by more than
/// the allowed skew rejects fresh tokens or accepts expired ones. Redis serves as a second reference: if PostgreSQL's clock is
/// the wrong one, no node is worse than another.
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
        var off = string.Create(
            CultureInfo.InvariantCulture, $"{ahead.Duration().TotalSeconds:0} s {(ahead > TimeSpan.Zero ? "ahead of" : "behind")}");
        return await RedisAgreesAsync(cancellationToken)
    ? HealthCheckResult.Degraded($"clock is {off} PostgreSQL's but agrees with Redis'; check the clock of the PostgreSQL host")
            : HealthCheckResult.Unhealthy($"clock is {off} PostgreSQL's; fresh tokens are rejected or expired ones accepted");
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

internal sealed class PostgresCheck(
    DatabaseMonitor database, DependencyStates dependencies, IHostEnvironment environment, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var unsafeSetting =
                await database.ProbeAsync(cancellationToken).WaitAsync(RedisConnection.Timeout * 2, time, cancellationToken);
            // A failure that affects writes only, such as a full disk: the probe does not see it.
            if (dependencies.Postgres.Refusal is { } refusal)
                return HealthCheckResult.Unhealthy(refusal);
            return unsafeSetting is null || environment.IsDevelopment()
                ? HealthCheckResult.Healthy()
    : HealthCheckResult.Degraded($"{unsafeSetting} is off; acknowledged data may be lost");
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy(
                DatabaseFailure.ReportedBy(failure) is null ? "does not answer" : DatabaseFailure.ReasonOf(failure));
        }
    }
}

internal sealed class RedisCheck(RedisConnection redis, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan KeyExpiry = TimeSpan.FromSeconds(10);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            // A write: a Redis that is full or has become a replica still answers every other command.
            await redis.Database.StringSetAsync(redis.Keys.Ready(redis.NodeId), 1, KeyExpiry)
                .WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (RedisServerException refused)
        {
            return HealthCheckResult.Unhealthy($"rejects writes ({refused.Message.Split(' ')[0]})");
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
    await keys.FetchAsync() ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("signing keys not loaded");
}

/// <summary>Sends a pub/sub message to itself: detects a Redis that accepts commands but does not deliver all messages.</summary>
internal sealed class PubSubCheck(RedisConnection redis, RedisSubscriptions channels, TimeProvider time) : IHealthCheck, IHostedService
{
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource> pending = new();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        channels.Subscribe(redis.Keys.Node(redis.NodeId), received =>
        {
            if (Guid.TryParse((string?)received.Message, out var id) && pending.TryRemove(id, out var arrival))
                arrival.TrySetResult();
        });
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (channels.RefusedCount > 0)
            return HealthCheckResult.Unhealthy("Redis rejects subscriptions");
        var id = Guid.NewGuid();
        var arrival = pending.GetOrAdd(id, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            await redis.Database.PublishAsync(redis.Channel(redis.Keys.Node(redis.NodeId)), id.ToString())
                .WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            await arrival.Task.WaitAsync(RedisConnection.Timeout, time, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy("published messages do not arrive");
        }
        finally
        {
            pending.TryRemove(id, out _);
        }
    }
}
