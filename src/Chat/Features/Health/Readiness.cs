using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Chat.Features;

/// <summary>
/// Runs and shares the readiness checks. The endpoint is anonymous and a check costs PostgreSQL and Redis a round trip each, so
/// all callers within a second, or while a check is running, share its result. Whether the node is stopping costs nothing and is
/// always current.
/// </summary>
internal sealed class Readiness(HealthCheckService checks, IOptions<HealthCheckServiceOptions> options, TimeProvider time)
{
    /// <summary>The tag of the readiness checks.</summary>
    public const string Tag = "ready";

    /// <summary>The tag of readiness checks without external dependencies.</summary>
    public const string FreeTag = "free";

    private static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(1);

    // Each check runs separately, so that a caller who excludes Redis does not wait for an unresponsive one.
    private readonly SharedCheck[] parts =
        [.. options.Value.Registrations.Where(check => check.Tags.Contains(Tag)).Select(check => new SharedCheck(check, checks, time))];

    /// <summary>Returns the results of all checks except the excluded ones.</summary>
    public async Task<HealthReport> CheckAsync(IReadOnlyCollection<string> excluded, CancellationToken cancellation)
    {
        var reports = await Task.WhenAll(parts.Where(part => !excluded.Contains(part.Name)).Select(part => part.LatestAsync()))
            .WaitAsync(cancellation);
        return new HealthReport(reports.SelectMany(report => report.Entries).ToDictionary(),
            reports.Aggregate(TimeSpan.Zero, (sum, report) => sum + report.TotalDuration));
    }

    private sealed class SharedCheck(HealthCheckRegistration check, HealthCheckService checks, TimeProvider time)
    {
        private readonly Lock gate = new();
        private Task<HealthReport>? latest;
        private long startedAt;

        public string Name => check.Name;

        public Task<HealthReport> LatestAsync()
        {
            if (check.Tags.Contains(FreeTag))
                return RunAsync();
            lock (gate)
            {
                if (latest is null || (latest.IsCompleted && time.GetElapsedTime(startedAt) >= MaxAge))
                    (startedAt, latest) = (time.GetTimestamp(), RunAsync());
                return latest;
            }
        }

        // Not cancelled with the caller: others share the result, and each check has its own timeout.
        private Task<HealthReport> RunAsync() => checks.CheckHealthAsync(registration => registration.Name == check.Name);
    }
}
