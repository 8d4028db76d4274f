using System.Net;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class RevocationHooks
{
    /// <summary>Requests to revoke a user's tokens, with this scope in the caller's token.</summary>
    public static async Task<HttpStatusCode> Revoke(this ChatApp app, TestUser user, string? scope = "chat.admin")
    {
        using var client = app.Http();
        client.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(ChatApp.NewUser(), scope: scope));
        return (await client.PostAsync($"/admin/users/{user.Id}/revoke", null)).StatusCode;
    }

    /// <summary>Signs out on all devices with this token.</summary>
    public static async Task<HttpStatusCode> SignOutEverywhere(this ChatApp app, string token)
    {
        using var client = app.Http();
        client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return (await client.DeleteAsync("/chat/sessions")).StatusCode;
    }
}
