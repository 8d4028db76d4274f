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
            answer.GetProperty("totalUnread").GetInt64(),
            answer.GetProperty("conversations").EnumerateArray().ToDictionary(
    conversation => conversation.GetProperty("conversationId").GetGuid(),
                conversation => conversation.GetProperty("unread").GetInt64()));
    }
}
