using System.Text;
using Chat.Tests.Fixtures;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Start;

/// <summary>The complete Production configuration, in environment variables.</summary>
internal static class Production
{
    public static IReadOnlyDictionary<string, string> Nothing { get; } = new Dictionary<string, string>
    {
        ["DOTNET_ENVIRONMENT"] = "Production",
        ["ASPNETCORE_ENVIRONMENT"] = "Production",
    };

    /// <summary>Complete settings for a schema that does not exist yet.</summary>
    public static async Task<Dictionary<string, string>> Settings()
    {
        var servers = await TestServers.Get();
        var name = $"t{Guid.NewGuid():N}";
        return new Dictionary<string, string>(Nothing)
        {
            ["ConnectionStrings__Postgres"] = $"{servers.Postgres};Maximum Pool Size=10",
            ["ConnectionStrings__Redis"] = servers.Redis,
            ["Storage__Schema"] = name,
            ["Redis__Prefix"] = $"{name}:",
            ["Jwt__Key"] = ChatApp.Key,
            ["Jwt__Issuer"] = ChatApp.Issuer,
            ["Jwt__Audience"] = ChatApp.Audience,
        };
    }

    /// <summary>A token of the application, signed with the shared key.</summary>
    public static string TokenFor(TestUser user, TimeSpan? lifetime = null) =>
        new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = ChatApp.Issuer,
            Audience = ChatApp.Audience,
            Expires = DateTime.UtcNow + (lifetime ?? TimeSpan.FromHours(1)),
            Claims = new Dictionary<string, object> { ["sub"] = user.Id.ToString(), ["preferred_username"] = user.Username },
            SigningCredentials =
            new SigningCredentials(new SymmetricSecurityKey(Encoding.UTF8.GetBytes(ChatApp.Key)), SecurityAlgorithms.HmacSha256),
        });
}
