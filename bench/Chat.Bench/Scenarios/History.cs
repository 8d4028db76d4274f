using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Pages of 50 out of a database with many messages: from anywhere in conversations chosen at random.</summary>
internal static class History
{
    /// <summary>Asks a server of its own, whose database it fills first.</summary>
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        if (target.Services is null || target.IsFloor)
            throw new BenchException("History is read from a server of the bench's own.");
        var corpus = await SeededDatabase.OpenAsync(target.Services);
        await corpus.GrowAsync(options.Number("messages", 10_000), progress);
        return Read(target, corpus.Conversations, options, progress);
    }

    /// <summary>Reads from so many conversations.</summary>
    public static Report Read(Target target, int conversations, Options options, Progress progress)
    {
        var chance = new Random(3);
        return HttpLoad.Run($"history of {(long)conversations * SeededDatabase.MessagesPerConversation:N0} messages", target, options.Number("rate", 200), Next, options, progress);

        byte[] Next()
        {
            var conversation = chance.Next(conversations);
            return HttpConnection.Get(
                target.Urls[0],
                $"/chat/conversations/{SeededDatabase.IdOf(conversation)}/messages?limit=50&before={chance.Next(51, SeededDatabase.MessagesPerConversation + 2)}",
                SeededDatabase.SignIn(target, conversation, 0).Token);
        }
    }
}

/// <summary>Only fills a database, to be kept with --data.</summary>
internal static class Seed
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var corpus = await SeededDatabase.OpenAsync(target.Services ?? throw new BenchException("Only a database of the bench's own is filled: give --data."));
        var began = EventLoop.Now;
        await corpus.GrowAsync(options.Number("messages", 10_000), progress);
        return new Report("seed")
            .Add("messages", await target.Services.CountAsync("select count(*) from chat.mt_doc_message"), "")
            .Add("conversations", corpus.Conversations, "")
            .Add("size of the database", await target.Services.CountAsync("select pg_database_size(current_database())") / 1048576.0, "MiB")
            .Add("took", (EventLoop.Now - began) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)), "s");
    }
}
