using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// People with many direct conversations among each other, some of them connected and silent. Measures what they cost while they
/// connect and while nothing happens, and then, while a few other pairs talk, how long it takes until all of them are back after
/// a cut, and what the pairs notice of it.
/// </summary>
internal static class Crowd
{
    private const int Talkers = 40;

    // Presence and the like follow a connection; this is their time to finish.
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(5);

    // Reading the usage of many processes stops the loop, which makes messages late: none that is due meanwhile, or in flight, counts.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(1);

    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (people, conversations) = (options.Number("people", 5000), options.Number("conversations", 60));
        var connected = options.Number("connected", Math.Min(2000, people));
        if (connected < 1 || connected > people)
            throw new BenchException($"--connected must be between 1 and the number of people, not {connected}.");
        var crowd = new SeededCrowd(people, conversations);
        // Before the crowd, because seeding restarts the server, which then has a fresh heap.
        var talkers = await Population.CreateAsync(target, Talkers, progress);
        await crowd.SeedAsync(target, progress);
        var report = new Report(
            $"crowd: {target.Name}, {target.Urls.Count} nodes, {people} people with {conversations} conversations each, {connected} "
                + "connected")
            .Add("connected contacts a person", crowd.ContactsAmong(connected), "");

        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        using var fleet = new Fleet(loop, target, crowd.First(target, connected).UpgradeRequests(target), new NullFrameHandler());
        MeasureIdle(target, options, progress, loop, fleet, report);
        using var pairs = ConnectedPairs.Open(target, options, progress, talkers, loop);
        await MeasureCutAsync(target, options, progress, fleet, pairs, report);
        return report;
    }

    private static void MeasureIdle(
        Target target, Options options, Progress progress, EventLoop loop, Fleet fleet, Report report)
    {
        var (settle, window) = (options.Seconds("settle", 20), options.Seconds("seconds", 60));
        var connecting = UsageInterval.Measure(target, () =>
        {
            fleet.ConnectAll(progress);
            loop.Run(() => false, Aftermath);
        });
        progress.SetPhase("settling", () => $"{fleet.Open} open");
        loop.Run(() => false, settle);
        progress.SetPhase("idle", () => $"{fleet.Open} open");
        var idle = UsageInterval.Measure(target, () => loop.Run(() => false, window));

        var (fresh, settled) = (connecting.Before, idle.Before);
        report.Figures.AddRange(connecting.CpuPer("connect", fleet.Clients.Length, idle));
        report
            .Add("memory a connected person", (settled.ServerBytes - fresh.ServerBytes) / 1024.0 / fleet.Clients.Length, "KiB")
            .Add("memory of the server before", fresh.ServerBytes / 1048576.0, "MiB")
            .Add("memory of the server after", settled.ServerBytes / 1048576.0, "MiB")
            .Add("memory PostgreSQL", settled.PostgresBytes / 1048576.0, "MiB")
            .Add("memory Redis", settled.RedisBytes / 1048576.0, "MiB");
        report.Figures.AddRange(idle.Cores("idle"));
    }

    private static async Task MeasureCutAsync(
        Target target, Options options, Progress progress, Fleet fleet, ConnectedPairs pairs, Report report)
    {
        var (rate, window) = (options.Number("rate", 200), options.Seconds("warm-up", 15));
        var (loop, stats, stop, next) = (pairs.Loop, pairs.Stats, long.MaxValue, 0);
        var checks = await MessageChecks.BeginAsync(target);
        Pacer.Run(loop, EventLoop.Now, rate, due =>
        {
            if (due >= stop)
                return false;
            stats.Streams[next++ % stats.Streams.Count].Send(due);
            return true;
        });
        progress.SetPhase("talking", () => $"{stats.Sent:N0} sent, {stats.Delivered:N0} delivered");
        loop.Run(() => false, window);
        var calm = UsageInterval.Measure(target, () => RunWindow(stats.DeliveryLatency, () => loop.Run(() => false, window), Margin));
        var (during, reconnection) = (stats.DeliveryLatency.AddWindow(), default(Reconnection));
        var cut = UsageInterval.Measure(target, () => RunWindow(
            during,
            () =>
            {
                reconnection = Reconnection.Start(fleet, options.Seconds("spread", 1), progress);
                reconnection.Run(loop);
            },
            Aftermath));
        stop = EventLoop.Now;
        checks.Drain(loop, stats, progress);

        reconnection!.AddTo(report);
        report.Figures.AddRange(cut.CpuPer("reconnect", fleet.Clients.Length, calm));
        report.Figures.AddRange(calm.Cores("calm"));
        report.Figures.AddRange(cut.Cores("from the cut on"));
        report
            .Add("delivery p50, calm", stats.DeliveryLatency.Percentile(50), "ms")
            .Add("delivery p99, calm", stats.DeliveryLatency.Percentile(99), "ms")
            .Add("delivery p50, until all are back", during.Percentile(50), "ms")
            .Add("delivery p99, until all are back", during.Percentile(99), "ms")
            .Add("delivery p50, ratio", during.Percentile(50) / stats.DeliveryLatency.Percentile(50), "to calm")
            .Add("delivery p99, ratio", during.Percentile(99) / stats.DeliveryLatency.Percentile(99), "to calm");
        report.Faults.AddRange(await checks.FaultsAsync(pairs.Fleet, stats));

        void RunWindow(Latency latency, Action run, TimeSpan afterwards)
        {
            loop.Run(() => false, Margin);
            latency.Start(EventLoop.Now);
            run();
            latency.Stop(EventLoop.Now);
            loop.Run(() => false, afterwards);
        }
    }
}
