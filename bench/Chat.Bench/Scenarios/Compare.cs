namespace Chat.Bench.Scenarios;

/// <summary>
/// Alternates between the chat server and the floor server on the same PostgreSQL and Redis in one session. The ratios are
/// the result, because variations of the machine affect both servers.
/// </summary>
internal static class Compare
{
    public static async Task<IReadOnlyList<Report>> RunAsync(Options options, Progress progress)
    {
        await using var services = await BackingServices.StartAsync(options, progress);
        var (pairs, paced) = (new List<Report>[] { [], [] }, new List<Report>[] { [], [] });
        string[] servers = ["chat", "floor"];
        var rounds = options.Number("rounds", 5);
        for (var round = 0; round < rounds; round++)
        {
            for (var server = 0; server < servers.Length; server++)
            {
                progress.Log($"round {round + 1} of {rounds}: {servers[server]}");
                await using var target = await Target.StartAsync(options.With(("server", servers[server])), progress, services);
                pairs[server].Add(await Pairs.RunAsync(target, options, progress));
                paced[server].Add(await Paced.RunAsync(target, options, progress));
            }
        }

        return
        [
            .. Medians(pairs), Ratios("pairs", pairs),
            .. Medians(paced), Ratios("paced", paced),
        ];
    }

    private static IEnumerable<Report> Medians(List<Report>[] rounds) =>
        rounds.Select(reports => Report.Medians($"{reports[0].Title}: medians of {reports.Count} rounds", reports));

    // Compares the two servers round by round, since runs of the same round are adjacent in time.
    private static Report Ratios(string scenario, List<Report>[] rounds)
    {
        var report = new Report($"{scenario}: chat server against the floor, medians of the ratios per round");
        foreach (var name in new[] { "delivered", "CPU together", "CPU server", "CPU PostgreSQL", "delivery p50", "delivery p99",
            "answer p50", "answer p99" })
            report.Add(name, Report.Median(rounds[0].Zip(rounds[1], (ours, floor) => ours[name] / floor[name])), "ours/floor");
        return report;
    }
}
