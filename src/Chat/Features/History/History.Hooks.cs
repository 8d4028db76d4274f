using System.Net.Http.Json;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class HistoryHooks
{
    /// <summary>Returns the complete history, read in pages from the first message.</summary>
    public static async Task<IReadOnlyList<JsonElement>> History(this ChatApp app, TestUser caller, Guid conversation)
    {
        var all = new List<JsonElement>();
        while (true)
        {
            var after = all.Count == 0 ? 0 : all[^1].Number("seq");
            var page = await app.Http(caller)
                .GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}/messages?after={after}&limit=200");
            all.AddRange(page.List("messages"));
            if (!page.Flag("hasMore"))
                return all;
        }
    }
}
