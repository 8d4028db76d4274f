namespace Chat.Bench.Scenarios;

/// <summary>How long a configured server takes from its start as a process to the first 200 of /health/ready.</summary>
internal static class Start
{
    public static async Task<IReadOnlyList<Report>> RunAsync(Options options, Progress progress)
    {
        await using var backends = await BackingServices.StartAsync(options, progress);
        var launch = ServerLauncher.For(options, backends);
        await launch.ApplySchemaAsync();
        var times = new List<double>();
        var runs = options.Number("runs", 10);
        for (var run = 0; run < runs; run++)
        {
            var (_, process, took) = await launch.StartAsync();
            await process.DisposeAsync();
            times.Add(took.TotalSeconds);
            progress.SetPhase("starting", () => $"{run + 1} of {runs}: {took.TotalSeconds:0.00} s");
        }

        return
        [
            new Report($"start: {options.Text("server") ?? "chat"}, {runs} runs")
                .Add("exec to ready, median", Report.Median(times), "s")
                .Add("exec to ready, quickest", times.Min(), "s")
                .Add("exec to ready, slowest", times.Max(), "s"),
        ];
    }
}
