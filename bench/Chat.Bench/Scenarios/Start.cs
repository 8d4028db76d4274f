namespace Chat.Bench.Scenarios;

/// <summary>Measures the startup time of a configured server: from process start to the first 200 of /health/ready.</summary>
internal static class Start
{
    public static async Task<IReadOnlyList<Report>> RunAsync(Options options, Progress progress)
    {
        await using var services = await BackingServices.StartAsync(options, progress);
        var launcher = ServerLauncher.For(options, services);
        await launcher.ApplySchemaAsync();
        var times = new List<double>();
        var runs = options.Number("runs", 10);
        for (var run = 0; run < runs; run++)
        {
            var (_, process, took) = await launcher.StartAsync();
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
