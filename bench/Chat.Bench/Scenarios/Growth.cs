using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Whether cost grows with what is stored: sends, history pages, unread numbers and conversation lists, each at a
/// steady rate, at 10 thousand, 1 million and 10 million messages; and lists of people with 10 and with 1,000
/// conversations. Each should stay flat.
/// </summary>
internal static class Growth
{
    private const int Sockets = 100;

    public static async Task<IReadOnlyList<Report>> RunAsync(Options options, Progress progress)
    {
        await using var backends = await BackingServices.StartAsync(options, progress);
        var own = options.With(("rate", options.Text("rate") ?? "100"), ("seconds", options.Text("seconds") ?? "10"));
        var reports = new List<Report>();
        foreach (var size in options.Numbers("sizes", 10_000, 1_000_000, 10_000_000))
        {
            await using var target = await Target.StartAsync(own, progress, backends);
            var corpus = await SeededDatabase.OpenAsync(backends);
            if (corpus.Conversations * (long)SeededDatabase.MessagesPerConversation > size)
                throw new BenchException($"There are {corpus.Conversations * (long)SeededDatabase.MessagesPerConversation:N0} messages already, more than {size:N0}.");
            await corpus.GrowAsync(size, progress);
            reports.Add(await SendAsync(target, corpus, size, own, progress));
            reports.Add(History.Read(target, corpus.Conversations, own, progress));
            reports.Add(Ask("unread", "/chat/unread", target, corpus.Conversations, own, progress));
            reports.Add(Ask("list", "/chat/conversations", target, corpus.Conversations, own, progress));
        }

        foreach (var length in options.Numbers("lists", 10, 1000))
        {
            await using var target = await Target.StartAsync(own, progress, backends);
            reports.AddRange(await ListAsync(target, length, own, progress));
        }

        reports.Add(Flatness(reports));
        return reports;
    }

    private static async Task<Report> SendAsync(Target target, SeededDatabase corpus, int size, Options options, Progress progress)
    {
        using var scene = ConnectedPairs.Open(target, options, progress, SeededDatabase.Sample(target, Sockets, corpus.Conversations));
        var report = await Paced.RunAsync(scene, target, options, progress);
        return report with { Title = $"send among {size:N0} messages: {report.Title}" };
    }

    private static Report Ask(string what, string path, Target target, int conversations, Options options, Progress progress)
    {
        var chance = new Random(4);
        return HttpLoad.Run(
            $"{what} among {(long)conversations * SeededDatabase.MessagesPerConversation:N0} messages", target, options.Number("rate", 100),
            () => HttpConnection.Get(target.Urls[0], path, SeededDatabase.SignIn(target, chance.Next(conversations), chance.Next(2)).Token), options, progress);
    }

    // Somebody with so many conversations, each of which holds one message.
    private static async Task<IReadOnlyList<Report>> ListAsync(Target target, int length, Options options, Progress progress)
    {
        var crowd = await Population.CreateAsync(target, length + 1, progress, areStrangers: true);
        var popular = crowd.Users[length];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        await Parallel.ForAsync(0, length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) =>
        {
            var conversation = await Population.OpenConversationAsync(http, crowd.Users[i], popular.Id);
            await Population.SendAsync(http, crowd.Users[i], conversation, "hello");
        });
        return
        [
            HttpLoad.Run($"list of {length:N0} conversations, first page of 50", target, options.Number("rate", 100), () => HttpConnection.Get(target.Urls[0], "/chat/conversations", popular.Token), options, progress),
            HttpLoad.Run($"unread of {length:N0} conversations", target, options.Number("rate", 100), () => HttpConnection.Get(target.Urls[0], "/chat/unread", popular.Token), options, progress),
        ];
    }

    // All in one table: what is to be seen at a glance.
    private static Report Flatness(IEnumerable<Report> reports)
    {
        var flat = new Report("growth, at a glance");
        foreach (var report in reports.ToArray())
        {
            var of = report.Figures.Any(figure => figure.Name == "delivery p50") ? "delivery" : "answer";
            var what = report.Title.Split(':')[0];
            flat.Add($"{what}: p50", report[$"{of} p50"], "ms").Add($"{what}: p99", report[$"{of} p99"], "ms").Add($"{what}: CPU", report["CPU together"], "ms/1,000");
        }

        return flat;
    }
}
