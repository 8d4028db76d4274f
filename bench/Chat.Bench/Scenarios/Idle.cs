using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// N idle sockets. Measures resident memory per socket, relative to the server right after startup: once after connecting,
/// and once after a ping on each.
/// </summary>
internal static class Idle
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, settle) = (options.Number("sockets", 10_000), options.Seconds("settle", 20));
        var population = await Population.CreateAsync(target, sockets, progress, options.Has("strangers"));
        if (target.Services is not null)
        {
            // Creating the conversations has grown the server's memory, which would hide the share of the sockets.
            progress.SetPhase("restarting the server");
            await target.RestartAsync(asCrash: false);
        }

        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var frames = new Pongs();
        using var fleet = new Fleet(loop, target, population.UpgradeRequests(target), frames);
        var before = target.MeasureUsage();
        fleet.ConnectAll(progress);
        progress.SetPhase("settling", () => $"{fleet.Open} open");
        loop.Run(() => false, settle);
        var settled = target.MeasureUsage();
        Span<byte> ping = Wire.Frame(1, """{"type":"ping","payload":{}}"""u8);
        if (!target.IsFloor)
        {
            foreach (var client in fleet.Clients)
                client.Send(ping);
            progress.SetPhase("pinging", () => $"{frames.Count} pongs");
            loop.Run(() => frames.Count == sockets, TimeSpan.FromSeconds(30));
            loop.Run(() => false, settle);
        }

        var used = target.MeasureUsage();
        var report = new Report($"idle: {target.Name}, {sockets} sockets{(options.Has("strangers") ? " of strangers" : " of pairs")}")
            .Add("memory a socket, after settling", KiBPerSocket(settled), "KiB")
            .Add("memory a socket, after a ping each", KiBPerSocket(used), "KiB")
            .Add("memory of the server before", before.ServerBytes / 1048576.0, "MiB")
            .Add("memory of the server after", used.ServerBytes / 1048576.0, "MiB")
            .Add("CPU of the server a socket, all in all", (used.Server - before.Server) * 1_000_000 / sockets, "us");
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}"));
        if (!target.IsFloor && frames.Count != sockets)
            report.Faults.Add($"{sockets} pings got {frames.Count} pongs.");
        return report;

        double KiBPerSocket(ResourceUsage usage) => (usage.ServerBytes - before.ServerBytes) / 1024.0 / sockets;
    }

    private sealed class Pongs : IFrameHandler
    {
        public int Count { get; private set; }

        public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now) =>
            Count += kind == FrameKind.Pong ? 1 : 0;
    }
}
