using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Only seeds a database, which --data keeps.</summary>
internal static class Seed
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var database = await SeededDatabase.OpenAsync(
            target.Services ?? throw new BenchException("The seed scenario requires a database started by the bench: specify --data."));
        var start = EventLoop.Now;
        await database.GrowAsync(options.Number("messages", 10_000), progress);
        return new Report("seed")
            .Add("messages", await target.Services.CountAsync("select count(*) from chat.mt_doc_message"), "")
            .Add("conversations", database.Conversations, "")
            .Add("size of the database", await target.Services.CountAsync("select pg_database_size(current_database())") / 1048576.0, "MiB")
            .Add("took", (EventLoop.Now - start) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)), "s");
    }
}
