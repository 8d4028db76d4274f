using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Pages of 50 out of a database with many messages: from anywhere in conversations chosen at random.</summary>
internal static class History
{
    /// <summary>Asks a server of its own, whose database it fills first.</summary>
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        if (target.Backends is null || target.IsFloor)
            throw new BenchException("History is read from a server of the bench's own.");
        var corpus = await Corpus.OpenAsync(target.Backends);
        await corpus.GrowAsync(options.Number("messages", 10_000), progress);
        return Read(target, corpus.Conversations, options, progress);
    }

    /// <summary>Reads from so many conversations.</summary>
    public static Report Read(Target target, int conversations, Options options, Progress progress)
    {
        var chance = new Random(3);
        return Asking.Run($"history of {(long)conversations * Corpus.MessagesEach:N0} messages", target, options.Number("rate", 200), Next, options, progress);

        byte[] Next()
        {
            var conversation = chance.Next(conversations);
            return Caller.Get(
                target.Urls[0],
                $"/chat/conversations/{Corpus.IdOf(conversation)}/messages?limit=50&before={chance.Next(51, Corpus.MessagesEach + 2)}",
                Corpus.Sign(target, conversation, 0).Token);
        }
    }
}

/// <summary>Only fills a database, to be kept with --data.</summary>
internal static class Seed
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var corpus = await Corpus.OpenAsync(target.Backends ?? throw new BenchException("Only a database of the bench's own is filled: give --data."));
        var began = EventLoop.Now;
        await corpus.GrowAsync(options.Number("messages", 10_000), progress);
        return new Report("seed")
            .Add("messages", await target.Backends.CountAsync("select count(*) from chat.mt_doc_message"), "")
            .Add("conversations", corpus.Conversations, "")
            .Add("size of the database", await target.Backends.CountAsync("select pg_database_size(current_database())") / 1048576.0, "MiB")
            .Add("took", (EventLoop.Now - began) / (double)EventLoop.Ticks(TimeSpan.FromSeconds(1)), "s");
    }
}
