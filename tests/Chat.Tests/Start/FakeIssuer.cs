using System.Security.Cryptography;
using Chat.Tests.Fixtures;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Start;

/// <summary>An OpenID Connect issuer as small as one can be: metadata, published keys, and tokens signed with them.</summary>
internal sealed class FakeIssuer : IAsyncDisposable
{
    private readonly WebApplication app;
    private RsaSecurityKey key = NewKey();

    private FakeIssuer(WebApplication app) => this.app = app;

    public string Address => app.Urls.Single();

    /// <summary>Whether it answers nothing but 503.</summary>
    public bool IsAway { get; set; }

    public static async Task<FakeIssuer> Start()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var issuer = new FakeIssuer(builder.Build());
        issuer.app.Run(issuer.Answer);
        await issuer.app.StartAsync();
        return issuer;
    }

    /// <summary>From here on tokens are signed with a new key, and only that one is published.</summary>
    public void RotateKey() => key = NewKey();

    public string TokenFor(TestUser user, RsaSecurityKey? signedWith = null) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = Address,
        Audience = ChatApp.Audience,
        Expires = DateTime.UtcNow.AddHours(1),
        Claims = new Dictionary<string, object> { ["sub"] = user.Id.ToString() },
        SigningCredentials = new SigningCredentials(signedWith ?? key, SecurityAlgorithms.RsaSha256),
    });

    public static RsaSecurityKey NewKey() => new(RSA.Create(2048)) { KeyId = Guid.NewGuid().ToString("N") };

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private Task Answer(HttpContext http)
    {
        if (IsAway)
        {
            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        }

        var published = JsonWebKeyConverter.ConvertFromRSASecurityKey(new RsaSecurityKey(key.Rsa.ExportParameters(includePrivateParameters: false)) { KeyId = key.KeyId });
        return http.Response.WriteAsJsonAsync<object>(http.Request.Path == "/keys"
            ? new { keys = new[] { new { kty = "RSA", use = "sig", kid = published.Kid, n = published.N, e = published.E } } }
            : new { issuer = Address, jwks_uri = $"{Address}/keys" });
    }
}
