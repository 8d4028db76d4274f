using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Chat.Features;

/// <summary>
/// Readiness as it is told to whoever asks. Nobody needs a token for it, and a look costs PostgreSQL and Redis a round trip each: so
/// everybody who asks within a second, or while a look is under way, gets the same one. Whether the node is stopping costs nothing
/// and is always the latest.
/// </summary>
internal sealed class Readiness(HealthCheckService checks, IOptions<HealthCheckServiceOptions> options, TimeProvider time)
{
    /// <summary>Marks the checks that readiness is made of.</summary>
    public const string Tag = "ready";

    /// <summary>Marks those of them that ask nobody.</summary>
    public const string FreeTag = "free";

    private static readonly TimeSpan Age = TimeSpan.FromSeconds(1);

    // Each part by itself, so that whoever leaves Redis out does not wait for one that stands still.
    private readonly Look[] parts =
        [.. options.Value.Registrations.Where(check => check.Tags.Contains(Tag)).Select(check => new Look(check, checks, time))];

    /// <summary>What there is to say, without the parts that the caller leaves out.</summary>
    public async Task<HealthReport> CheckAsync(IReadOnlyCollection<string> excluded, CancellationToken cancellation)
    {
        var reports = await Task.WhenAll(parts.Where(part => !excluded.Contains(part.Name)).Select(part => part.LatestAsync())).WaitAsync(cancellation);
        return new HealthReport(reports.SelectMany(report => report.Entries).ToDictionary(), reports.Aggregate(TimeSpan.Zero, (sum, report) => sum + report.TotalDuration));
    }

    private sealed class Look(HealthCheckRegistration check, HealthCheckService checks, TimeProvider time)
    {
        private readonly Lock gate = new();
        private Task<HealthReport>? latest;
        private long begunAt;

        public string Name => check.Name;

        public Task<HealthReport> LatestAsync()
        {
            if (check.Tags.Contains(FreeTag))
                return RunAsync();
            lock (gate)
            {
                if (latest is null || (latest.IsCompleted && time.GetElapsedTime(begunAt) >= Age))
                    (begunAt, latest) = (time.GetTimestamp(), RunAsync());
                return latest;
            }
        }

        // By nobody's cancellation: others wait for it, too, and each check gives up by itself.
        private Task<HealthReport> RunAsync() => checks.CheckHealthAsync(registration => registration.Name == check.Name);
    }
}
