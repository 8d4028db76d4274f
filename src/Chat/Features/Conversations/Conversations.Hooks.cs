using System.Net.Http.Json;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class ConversationsHooks
{
    /// <summary>The id of the direct conversation of two users, opened if need be.</summary>
    public static async Task<Guid> OpenDirect(this ChatApp app, TestUser caller, TestUser other)
    {
        var response = await app.Http(caller).PostAsJsonAsync("/chat/conversations", new { userId = other.Id });
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
    }

    /// <summary>The conversation as one of its members sees it.</summary>
    public static Task<JsonElement> Conversation(this ChatApp app, TestUser caller, Guid conversation) =>
        app.Http(caller).GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}");
}
