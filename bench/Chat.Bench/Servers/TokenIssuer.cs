using System.Buffers.Text;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Chat.Bench.Servers;

/// <summary>A user of a run, with a token.</summary>
internal sealed record TestUser(Guid Id, string Token);

/// <summary>Issues the tokens of a run's users.</summary>
internal sealed class TokenIssuer(string key, string issuer, string audience, Uri? development)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    public string Key => key;

    public string Issuer => issuer;

    public string Audience => audience;

    /// <summary>Signs a token for a user, or requests one from a server in Development.</summary>
    public async Task<TestUser> IssueAsync(HttpClient http, Guid id, string username)
    {
        if (development is null)
            return new TestUser(id, Sign(id, username));
        using var response = await http.PostAsJsonAsync(new Uri(development, "/dev/token"), new { username });
        response.EnsureSuccessStatusCode();
        var issued = (await response.Content.ReadFromJsonAsync<JsonObject>())!;
        return new TestUser(issued["userId"]!.GetValue<Guid>(), issued["token"]!.GetValue<string>());
    }

    /// <summary>Returns a JWT signed with HS256.</summary>
    public string Sign(Guid id, string username)
    {
        var now = DateTimeOffset.UtcNow;
        var claims = new JsonObject
        {
            ["iss"] = issuer,
            ["aud"] = audience,
            ["sub"] = id.ToString(),
            ["preferred_username"] = username,
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = (now + Lifetime).ToUnixTimeSeconds(),
        };
        var signed = $"{Encode("""{"alg":"HS256","typ":"JWT"}""")}.{Encode(claims.ToJsonString())}";
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(signed)))}";
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
