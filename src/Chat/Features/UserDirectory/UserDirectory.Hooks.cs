using System.Net.Http.Json;
using System.Text;
using Chat.Tests.Fixtures;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Features;

internal static class UserDirectoryHooks
{
    /// <summary>Signs a user in over REST with these claims; returns once the directory has stored them.</summary>
    public static async Task SignIn(this ChatApp app, Guid user, params (string Claim, string Value)[] claims)
    {
        var token = new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = ChatApp.Issuer,
            Audience = ChatApp.Audience,
            Claims = claims.Append(("sub", user.ToString())).ToDictionary(claim => claim.Item1, claim => (object)claim.Item2),
            SigningCredentials =
                new SigningCredentials(new SymmetricSecurityKey(Encoding.UTF8.GetBytes(ChatApp.Key)), SecurityAlgorithms.HmacSha256),
        });
        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        (await http.GetAsync("/chat/unread")).EnsureSuccessStatusCode();
    }

    /// <summary>Requests to release or move a username, with this scope in the caller's token.</summary>
    public static async Task<System.Net.HttpStatusCode> Administer(
        this ChatApp app, string action, object body, string scope = "chat.admin")
    {
        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(ChatApp.NewUser(), scope: scope));
        return (await http.PostAsJsonAsync($"/admin/usernames/{action}", body)).StatusCode;
    }

    /// <summary>Returns a user's profile as seen by another member of a conversation.</summary>
    public static async Task<(string? Username, string? Name, string? Picture)> Seen(this ChatApp app, Guid user)
    {
        var observer = ChatApp.NewUser();
        var member =
            (await app.Conversation(observer, await app.OpenDirect(observer, new TestUser(user, "")))).Member(new TestUser(user, ""));
        return (Field("username"), Field("name"), Field("picture"));

        string? Field(string name) => member.TryGetProperty(name, out var value) ? value.GetString() : null;
    }
}
