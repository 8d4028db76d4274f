using System.Diagnostics;

namespace Chat.Bench.Servers;

/// <summary>The CPU time of each component during an interval.</summary>
internal sealed record UsageInterval(ResourceUsage Before, ResourceUsage After, double Seconds)
{
    /// <summary>Measures while something runs.</summary>
    public static UsageInterval Measure(Target target, Action run)
    {
        var (before, start) = (target.MeasureUsage(), Stopwatch.GetTimestamp());
        run();
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new UsageInterval(before, target.MeasureUsage(), seconds);
    }

    /// <summary>Returns the cores that each component used on average.</summary>
    public IEnumerable<Figure> Cores(string during) =>
    [
        new($"cores server, {during}", CoresOf(usage => usage.Server), "cores"),
        new($"cores PostgreSQL, {during}", CoresOf(usage => usage.Postgres), "cores"),
        new($"cores Redis, {during}", CoresOf(usage => usage.Redis), "cores"),
        new($"cores load generator, {during}", CoresOf(usage => usage.Generator), "cores"),
    ];

    /// <summary>Returns the CPU time for each of several things, without what another interval used in as much time.</summary>
    public IEnumerable<Figure> CpuPer(string thing, int count, UsageInterval background)
    {
        return
        [
            new($"CPU server a {thing}", Milliseconds(usage => usage.Server), "ms"),
            new($"CPU PostgreSQL a {thing}", Milliseconds(usage => usage.Postgres), "ms"),
            new($"CPU Redis a {thing}", Milliseconds(usage => usage.Redis), "ms"),
        ];

        double Milliseconds(Func<ResourceUsage, double> of) => (CoresOf(of) - background.CoresOf(of)) * Seconds * 1000 / count;
    }

    private double CoresOf(Func<ResourceUsage, double> of) => (of(After) - of(Before)) / Seconds;
}
