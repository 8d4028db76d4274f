using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// N sockets that do nothing: resident memory a socket, from a server that has just started to one that holds them
/// all; once as they came, and once more after each has said something and has been answered.
/// </summary>
internal static class Idle
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, settle) = (options.Number("sockets", 10_000), options.Seconds("settle", 20));
        var population = await Population.CreateAsync(target, sockets, progress, options.Has("strangers"));
        if (target.Services is not null)
        {
            // Opening their conversations has made the server grow already, which would hide what the sockets take.
            progress.SetPhase("starting the server anew");
            await target.RestartAsync(asCrash: false);
        }

        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var frames = new Pongs();
        using var fleet = new Fleet(loop, target, population.UpgradeRequests(target), frames);
        var before = target.MeasureUsage();
        fleet.ConnectAll(progress);
        progress.SetPhase("letting it settle", () => $"{fleet.Open} open");
        loop.Run(() => false, settle);
        var quiet = target.MeasureUsage();
        Span<byte> ping = Wire.Frame(1, """{"type":"ping","payload":{}}"""u8);
        if (!target.IsFloor)
        {
            foreach (var client in fleet.Clients)
                client.Send(ping);
            progress.SetPhase("asking everybody", () => $"{frames.Count} answers");
            loop.Run(() => frames.Count == sockets, TimeSpan.FromSeconds(30));
            loop.Run(() => false, settle);
        }

        var used = target.MeasureUsage();
        var report = new Report($"idle: {target.Name}, {sockets} sockets{(options.Has("strangers") ? " of strangers" : " of pairs")}")
            .Add("memory a socket, after settling", Each(quiet), "KiB")
            .Add("memory a socket, after a ping each", Each(used), "KiB")
            .Add("memory of the server before", before.ServerBytes / 1048576.0, "MiB")
            .Add("memory of the server after", used.ServerBytes / 1048576.0, "MiB")
            .Add("CPU of the server a socket, all in all", (used.Server - before.Server) * 1_000_000 / sockets, "us");
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}"));
        if (!target.IsFloor && frames.Count != sockets)
            report.Faults.Add($"{sockets} pings got {frames.Count} pongs.");
        return report;

        double Each(ResourceUsage then) => (then.ServerBytes - before.ServerBytes) / 1024.0 / sockets;
    }

    private sealed class Pongs : IFrameHandler
    {
        public int Count { get; private set; }

        public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now) => Count += kind == FrameKind.Pong ? 1 : 0;
    }
}

/// <summary>
/// N sockets lose their connection at once and come back as the protocol asks of them: how long until half of them,
/// 95 % and all are let in again. With --restart it is the server that goes, by a kill, and is started anew.
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

        var (before, refusedBefore, back, began) = (target.MeasureUsage(), fleet.FailedAttempts, new List<double>(sockets), EventLoop.Now);
        fleet.OnOpened = now => back.Add((now - began) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)));
        progress.SetPhase("the storm", () => $"{fleet.Open} of {sockets} are back, {fleet.FailedAttempts - refusedBefore} tries refused");
        var restarting = restart ? target.RestartAsync(asCrash: true) : Task.CompletedTask;
        fleet.ReconnectAll(spread);
        var areAllBack = loop.Run(() => fleet.Open == sockets, TimeSpan.FromMinutes(3));
        await restarting;
        var used = target.MeasureUsage();

        var report = new Report($"storm: {target.Name}, {sockets} sockets, {(restart ? "server killed and started anew" : "connections cut")}, spread {spread.TotalSeconds} s");
        foreach (var percent in new[] { 50, 95, 100 })
            report.Add($"{percent} % back", back.ElementAtOrDefault((sockets * percent / 100) - 1), "s");
        report.Add("tries refused", fleet.FailedAttempts - refusedBefore, "");
        if (!restart)
            report.Add("CPU server", (used.Server - before.Server) * 1000 / sockets, "ms/socket").Add("CPU PostgreSQL", (used.Postgres - before.Postgres) * 1000 / sockets, "ms/socket");
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost once they were back: {loss.Key}"));
        if (!areAllBack)
            report.Faults.Add($"Only {fleet.Open} of {sockets} came back. The latest refusal: {fleet.LastFailure}");
        return report;
    }
}
