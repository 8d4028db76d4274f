using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// N sockets lose their connection at once and reconnect as the protocol requires. Measures the time until 50 %, 95 % and all
/// are authenticated. With --restart, the server is killed and restarted instead. With --conversations, each socket's user has
/// that many direct conversations with others of them.
/// </summary>
internal static class Storm
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, spread, restart) = (options.Number("sockets", 10_000), options.Seconds("spread", 1), options.Has("restart"));
        var conversations = options.Number("conversations", 1);
        var population = options.Has("conversations")
            ? await SeedAsync(target, sockets, conversations, progress)
            : await Population.CreateAsync(target, sockets, progress, options.Has("strangers"));
        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        using var fleet = new Fleet(loop, target, population.UpgradeRequests(target), new NullFrameHandler());
        fleet.ConnectAll(progress);
        loop.Run(() => false, options.Seconds("settle", 5));

        var before = target.MeasureUsage();
        var restarting = restart ? target.RestartAsync(asCrash: true) : Task.CompletedTask;
        var reconnection = Reconnection.Start(fleet, spread, progress);
        reconnection.Run(loop);
        await restarting;
        var used = target.MeasureUsage();

        var report =
            new Report(
                $"storm: {target.Name}, {sockets} sockets{(conversations > 1 ? $" with {conversations} conversations each" : "")}, {(restart ? "server killed and restarted" : "connections cut")}, spread "
                    + $"{spread.TotalSeconds} s");
        reconnection.AddTo(report);
        if (!restart)
            report.Add("CPU server", (used.Server - before.Server) * 1000 / sockets, "ms/socket")
                .Add("CPU PostgreSQL", (used.Postgres - before.Postgres) * 1000 / sockets, "ms/socket");
        return report;
    }

    private static async Task<Population> SeedAsync(Target target, int sockets, int conversations, Progress progress)
    {
        var crowd = new SeededCrowd(sockets, conversations);
        await crowd.SeedAsync(target, progress);
        return crowd.First(target, sockets);
    }
}
