using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// N sockets lose their connection at once and reconnect as the protocol requires. Measures the time until 50 %, 95 % and all
/// are authenticated. With --restart, the server is killed and restarted instead.
/// </summary>
internal static class Storm
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, spread, restart) = (options.Number("sockets", 10_000), options.Seconds("spread", 1), options.Has("restart"));
        var population = await Population.CreateAsync(target, sockets, progress, options.Has("strangers"));
        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        using var fleet = new Fleet(loop, target, population.UpgradeRequests(target), new NullFrameHandler());
        fleet.ConnectAll(progress);
        loop.Run(() => false, options.Seconds("settle", 5));

        var (before, failedBefore, reconnected, start) =
            (target.MeasureUsage(), fleet.FailedAttempts, new List<double>(sockets), EventLoop.Now);
        fleet.Authenticated = now => reconnected.Add((now - start) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)));
        progress.SetPhase(
            "reconnecting", () => $"{fleet.Open} of {sockets} reconnected, {fleet.FailedAttempts - failedBefore} attempts failed");
        var restarting = restart ? target.RestartAsync(asCrash: true) : Task.CompletedTask;
        fleet.ReconnectAll(spread);
        var allReconnected = loop.Run(() => fleet.Open == sockets, TimeSpan.FromMinutes(3));
        await restarting;
        var used = target.MeasureUsage();

        var report =
            new Report(
                $"storm: {target.Name}, {sockets} sockets, {(restart ? "server killed and restarted" : "connections cut")}, spread "
                    + $"{spread.TotalSeconds} s");
        foreach (var percent in new[] { 50, 95, 100 })
            report.Add($"{percent} % back", reconnected.ElementAtOrDefault((sockets * percent / 100) - 1), "s");
        report.Add("tries refused", fleet.FailedAttempts - failedBefore, "");
        if (!restart)
            report.Add("CPU server", (used.Server - before.Server) * 1000 / sockets, "ms/socket")
                .Add("CPU PostgreSQL", (used.Postgres - before.Postgres) * 1000 / sockets, "ms/socket");
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost after reconnecting: {loss.Key}"));
        if (!allReconnected)
            report.Faults.Add($"Only {fleet.Open} of {sockets} reconnected. Last failure: {fleet.LastFailure}");
        return report;
    }
}
