using System.Net.Http.Json;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class ConversationsHooks
{
    /// <summary>Requests the direct conversation with the user that the body names.</summary>
    public static Task<HttpResponseMessage> AskForDirect(this ChatApp app, TestUser caller, object body) =>
        app.Http(caller).PostAsJsonAsync("/chat/conversations", body);

    /// <summary>Opens the direct conversation of two users if it does not exist, and returns its id.</summary>
    public static async Task<Guid> OpenDirect(this ChatApp app, TestUser caller, TestUser other)
    {
        var response = await app.AskForDirect(caller, new { userId = other.Id });
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).Id("id");
    }

    /// <summary>Returns the conversation as seen by one of its members.</summary>
    public static Task<JsonElement> Conversation(this ChatApp app, TestUser caller, Guid conversation) =>
        app.Http(caller).GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}");

    /// <summary>Returns a page of the caller's conversations.</summary>
    public static Task<JsonElement> ConversationPage(this ChatApp app, TestUser caller, string query = "") =>
        app.Http(caller).GetFromJsonAsync<JsonElement>($"/chat/conversations{query}");

    /// <summary>Returns a member of a conversation view.</summary>
    public static JsonElement Member(this JsonElement conversation, TestUser user) =>
        conversation.List("members").Single(member => member.Id("userId") == user.Id);
}
