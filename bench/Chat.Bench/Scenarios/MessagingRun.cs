using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Runs a messaging load: warm-up, measurement, and draining of messages in flight; then verifies it with
/// <see cref="MessageChecks"/>.
/// </summary>
internal sealed class MessagingRun(Target target, Options options, Progress progress)
{
    private readonly TimeSpan warmUp = options.Seconds("warm-up", 10);
    private readonly TimeSpan measured = options.Seconds("seconds", 15);

    /// <summary>The timestamp at which senders must stop.</summary>
    public long StopAt { get; private set; } = long.MaxValue;

    /// <summary>Runs the load, and returns the report.</summary>
    /// <param name="title">The title of the report.</param>
    /// <param name="loop">The event loop of the clients, all of which are connected.</param>
    /// <param name="fleet">The clients.</param>
    /// <param name="stats">The statistics, with the streams set.</param>
    /// <param name="begin">Starts the senders; receives the current time.</param>
    /// <param name="receivers">The number of connections to which each message is pushed.</param>
    public async Task<Report> RunAsync(
        string title, EventLoop loop, Fleet fleet, DeliveryStats stats, Action<long> begin, int receivers = 1)
    {
        var checks = await MessageChecks.BeginAsync(target);
        progress.SetPhase("warming up", () => $"{stats.Sent:N0} sent, {stats.Delivered:N0} delivered");
        var start = EventLoop.Now;
        begin(start);
        RunUntil(loop, start + EventLoop.ToTicks(warmUp));

        progress.SetPhase(
            "measuring", () => $"{stats.Sent:N0} sent, {stats.Delivered:N0} delivered, p99 {stats.DeliveryLatency.Percentile(99):0.0} ms");
        var from = EventLoop.Now;
        stats.AckLatency.Start(from);
        stats.DeliveryLatency.Start(from);
        var (usedBefore, deliveredBefore) = (target.MeasureUsage(), stats.Delivered);
        RunUntil(loop, from + EventLoop.ToTicks(measured));
        var to = EventLoop.Now;
        stats.AckLatency.Stop(to);
        stats.DeliveryLatency.Stop(to);
        var (used, delivered) = (target.MeasureUsage(), stats.Delivered - deliveredBefore);

        StopAt = to;
        checks.Drain(loop, stats, progress, receivers);

        var seconds = (to - from) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1));
        var report = new Report(title);
        report.Add("delivered", delivered / seconds, "/s");
        report.Figures.AddRange(stats.DeliveryLatency.Figures("delivery"));
        report.Figures.AddRange(stats.AckLatency.Figures("answer"));
        report.Figures.AddRange(used.Since(usedBefore, TimeSpan.FromSeconds(seconds), delivered / (double)receivers));
        report.Faults.AddRange(await checks.FaultsAsync(fleet, stats, receivers));
        return report;
    }

    private static void RunUntil(EventLoop loop, long timestamp) => loop.Run(() => EventLoop.Now >= timestamp, TimeSpan.FromDays(1));
}
