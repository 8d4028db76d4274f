using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Reads pages of 50 messages at random positions of random conversations, from a database with many messages.</summary>
internal static class History
{
    /// <summary>Seeds the database of the bench's own server, then reads from it.</summary>
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        if (target.Services is null || target.IsFloor)
            throw new BenchException("The history scenario requires a chat server started by the bench.");
        var database = await SeededDatabase.OpenAsync(target.Services);
        await database.GrowAsync(options.Number("messages", 10_000), progress);
        return Read(target, database.Conversations, options, progress);
    }

    /// <summary>Reads from the given number of conversations.</summary>
    public static Report Read(Target target, int conversations, Options options, Progress progress)
    {
        var random = new Random(3);
        return HttpLoad.Run($"history of {(long)conversations * SeededDatabase.MessagesPerConversation:N0} messages", target,
            options.Number("rate", 200), Next, options, progress);

        byte[] Next()
        {
            var conversation = random.Next(conversations);
            return HttpConnection.Get(
                target.Urls[0],
                $"/chat/conversations/{SeededDatabase.IdOf(conversation)}/"
                    + $"messages?limit=50&before={random.Next(51, SeededDatabase.MessagesPerConversation + 2)}",
                SeededDatabase.SignIn(target, conversation, 0).Token);
        }
    }
}
