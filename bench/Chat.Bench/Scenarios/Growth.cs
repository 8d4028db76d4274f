using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Measures whether cost grows with the stored data: sends, history pages, unread counts and conversation lists, each at a
/// fixed rate, with 10 thousand, 1 million and 10 million messages; and lists of users with 10 and 1,000 conversations. All
/// should stay flat.
/// </summary>
internal static class Growth
{
    private const int Sockets = 100;

    public static async Task<IReadOnlyList<Report>> RunAsync(Options options, Progress progress)
    {
        await using var services = await BackingServices.StartAsync(options, progress);
        var runOptions = options.With(("rate", options.Text("rate") ?? "100"), ("seconds", options.Text("seconds") ?? "10"));
        var reports = new List<Report>();
        foreach (var size in options.Numbers("sizes", 10_000, 1_000_000, 10_000_000))
        {
            await using var target = await Target.StartAsync(runOptions, progress, services);
            var database = await SeededDatabase.OpenAsync(services);
            if (database.Conversations * (long)SeededDatabase.MessagesPerConversation > size)
                throw new BenchException(
                    $"The database already has {database.Conversations * (long)SeededDatabase.MessagesPerConversation:N0} messages, more "
                        + $"than {size:N0}.");
            await database.GrowAsync(size, progress);
            reports.Add(await SendAsync(target, database, size, runOptions, progress));
            reports.Add(History.Read(target, database.Conversations, runOptions, progress));
            reports.Add(Measure("unread", "/chat/unread", target, database.Conversations, runOptions, progress));
            reports.Add(Measure("list", "/chat/conversations", target, database.Conversations, runOptions, progress));
        }

        foreach (var length in options.Numbers("lists", 10, 1000))
        {
            await using var target = await Target.StartAsync(runOptions, progress, services);
            reports.AddRange(await ListAsync(target, length, runOptions, progress));
        }

        reports.Add(Summarize(reports));
        return reports;
    }

    private static async Task<Report> SendAsync(Target target, SeededDatabase database, int size, Options options, Progress progress)
    {
        using var pairs = ConnectedPairs.Open(target, options, progress, SeededDatabase.Sample(target, Sockets, database.Conversations));
        var report = await Paced.RunAsync(pairs, target, options, progress);
        return report with { Title = $"send among {size:N0} messages: {report.Title}" };
    }

    private static Report Measure(string name, string path, Target target, int conversations, Options options, Progress progress)
    {
        var random = new Random(4);
        return HttpLoad.Run(
            $"{name} among {(long)conversations * SeededDatabase.MessagesPerConversation:N0} messages", target, options.Number("rate", 100),
            () => HttpConnection.Get(target.Urls[0], path, SeededDatabase.SignIn(target, random.Next(conversations), random.Next(2)).Token),
            options, progress);
    }

    // A user with the given number of conversations, each with one message.
    private static async Task<IReadOnlyList<Report>> ListAsync(Target target, int length, Options options, Progress progress)
    {
        var population = await Population.CreateAsync(target, length + 1, progress, areStrangers: true);
        var owner = population.Users[length];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        await Parallel.ForAsync(0, length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) =>
        {
            var conversation = await Population.OpenConversationAsync(http, population.Users[i], owner.Id);
            await Population.SendAsync(http, population.Users[i], conversation, "hello");
        });
        return
        [
            HttpLoad.Run($"list of {length:N0} conversations, first page of 50", target, options.Number("rate", 100),
                () => HttpConnection.Get(target.Urls[0], "/chat/conversations", owner.Token), options, progress),
            HttpLoad.Run($"unread of {length:N0} conversations", target, options.Number("rate", 100),
                () => HttpConnection.Get(target.Urls[0], "/chat/unread", owner.Token), options, progress),
        ];
    }

    // The summary: all results in one table.
    private static Report Summarize(IEnumerable<Report> reports)
    {
        var summary = new Report("growth, at a glance");
        foreach (var report in reports.ToArray())
        {
            var of = report.Figures.Any(figure => figure.Name == "delivery p50") ? "delivery" : "answer";
            var name = report.Title.Split(':')[0];
            summary.Add($"{name}: p50", report[$"{of} p50"], "ms").Add($"{name}: p99", report[$"{of} p99"], "ms")
                .Add($"{name}: CPU", report["CPU together"], "ms/1,000");
        }

        return summary;
    }
}
