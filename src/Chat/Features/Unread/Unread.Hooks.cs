using System.Net.Http.Json;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class UnreadHooks
{
    /// <summary>Returns the response of <c>GET /chat/unread</c>.</summary>
    public static async Task<(long Total, IReadOnlyDictionary<Guid, long> Conversations)> Unread(this ChatApp app, TestUser caller)
    {
        var answer = await app.Http(caller).GetFromJsonAsync<JsonElement>("/chat/unread");
        return (
            answer.Number("totalUnread"),
            answer.List("conversations").ToDictionary(
    conversation => conversation.Id("conversationId"),
                conversation => conversation.Number("unread")));
    }
}
