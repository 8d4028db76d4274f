using System.Diagnostics.Metrics;
using Chat.Features;
using Chat.Telemetry;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Observing;

/// <summary>Readiness published as a metric and in the log.</summary>
public sealed class HealthMetricsTests : IDisposable
{
    private readonly ServiceProvider services =
        new ServiceCollection().AddMetrics().AddLogging(log => log.AddFakeLogging()).BuildServiceProvider();
    private readonly DependencyStates dependencies;
    private readonly HealthMetrics metrics;

    public HealthMetricsTests()
    {
        var measured = new ServerMetrics(services.GetRequiredService<IMeterFactory>());
        dependencies = new DependencyStates(TimeProvider.System, measured, services.GetRequiredService<ILogger<DependencyStates>>());
        metrics = new HealthMetrics(measured, dependencies, services.GetRequiredService<ILogger<HealthMetrics>>());
    }

    public void Dispose() => services.Dispose();

    [Fact]
    public async Task Degraded_is_neither_healthy_nor_unavailable()
    {
        using var health = services.Measure<double>("chat.health");

        await Publish(("server", HealthStatus.Healthy), ("postgres", HealthStatus.Degraded), ("redis", HealthStatus.Unhealthy));

        Assert.Equal([("server", 1.0), ("postgres", 0.5), ("redis", 0.0)],
            health.GetMeasurementSnapshot().Select(one => ((string)one.Tags["check"]!, one.Value)));
    }

    [Fact]
    public async Task A_readiness_failure_without_an_outage_is_logged_at_its_start_and_end()
    {
        await Publish(("redis", HealthStatus.Unhealthy), ("postgres", HealthStatus.Degraded));
        await Publish(("redis", HealthStatus.Unhealthy), ("postgres", HealthStatus.Degraded));
        await Publish(("redis", HealthStatus.Healthy), ("postgres", HealthStatus.Healthy));

        Assert.Equal(
            ["Readiness of redis: redis is not well", "Readiness of postgres: postgres is not well", "Readiness of redis: ok",
            "Readiness of postgres: ok"],
            Lines<HealthMetrics>());
    }

    [Fact]
    public async Task An_outage_is_logged_once()
    {
        dependencies.Redis.Failed("it does not answer");
        dependencies.Postgres.Failed("it does not answer");

        await Publish(("redis", HealthStatus.Unhealthy), ("postgres", HealthStatus.Unhealthy), ("pubsub", HealthStatus.Unhealthy));

        Assert.Equal(["Readiness of pubsub: pubsub is not well"], Lines<HealthMetrics>());
        Assert.Equal(2, Lines<DependencyStates>().Length);
    }

    private Task Publish(params (string Part, HealthStatus State)[] parts) => metrics.PublishAsync(
        new HealthReport(parts.ToDictionary(part => part.Part,
        part => new HealthReportEntry(part.State, $"{part.Part} is not well", TimeSpan.Zero, null, null)), TimeSpan.Zero),
        CancellationToken.None);

    private string[] Lines<T>() =>
        [.. services.GetFakeLogCollector().GetSnapshot().Where(line => line.Category == typeof(T).FullName).Select(line => line.Message)];
}
