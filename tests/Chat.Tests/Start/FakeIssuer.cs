using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Chat.Tests.Fixtures;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Start;

/// <summary>A minimal OpenID Connect issuer: metadata, published keys, and tokens signed with them.</summary>
internal sealed class FakeIssuer : IAsyncDisposable
{
    private readonly WebApplication app;
    private RsaSecurityKey key = NewKey();
    private int asked;
    private int underWay;

    private FakeIssuer(WebApplication app) => this.app = app;

    public string Address => app.Urls.Single();

    /// <summary>Whether it answers 503 to everything.</summary>
    public bool IsAway { get; set; }

    /// <summary>Whether it accepts requests and never answers them.</summary>
    public bool Hangs { get; set; }

    /// <summary>The number of requests, without those for the keys.</summary>
    public int Asked => asked;

    /// <summary>The maximum number of concurrent requests.</summary>
    public int MostAtOnce { get; private set; }

    /// <summary>Starts an issuer; over https if it has a certificate.</summary>
    public static async Task<FakeIssuer> Start(X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint =>
        {
            if (certificate is not null)
                endpoint.UseHttps(certificate);
        }));
        builder.Logging.ClearProviders();
        var issuer = new FakeIssuer(builder.Build());
        issuer.app.Run(issuer.Answer);
        await issuer.app.StartAsync();
        return issuer;
    }

    /// <summary>Rotates the signing key: from now on only the new one is published.</summary>
    public void RotateKey() => key = NewKey();

    public string TokenFor(TestUser user, RsaSecurityKey? signedWith = null) =>
        new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Address,
            Audience = ChatApp.Audience,
            Expires = DateTime.UtcNow.AddHours(1),
            Claims = new Dictionary<string, object> { ["sub"] = user.Id.ToString() },
            SigningCredentials = new SigningCredentials(signedWith ?? key, SecurityAlgorithms.RsaSha256),
        });

    public static RsaSecurityKey NewKey() => new(RSA.Create(2048)) { KeyId = Guid.NewGuid().ToString("N") };

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private async Task Answer(HttpContext http)
    {
        if (http.Request.Path != "/keys")
            Interlocked.Increment(ref asked);
        MostAtOnce = Math.Max(MostAtOnce, Interlocked.Increment(ref underWay));
        try
        {
            if (Hangs)
                await new TaskCompletionSource().Task.WaitAsync(http.RequestAborted);
            await AnswerNow(http);
        }
        catch (OperationCanceledException)
        {
            // The client has stopped waiting.
        }
        finally
        {
            Interlocked.Decrement(ref underWay);
        }
    }

    private Task AnswerNow(HttpContext http)
    {
        if (IsAway)
        {
            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        }

        var published = JsonWebKeyConverter.ConvertFromRSASecurityKey(
            new RsaSecurityKey(key.Rsa.ExportParameters(includePrivateParameters: false)) { KeyId = key.KeyId });
        return http.Response.WriteAsJsonAsync<object>(http.Request.Path == "/keys"
            ? new { keys = new[] { new { kty = "RSA", use = "sig", kid = published.Kid, n = published.N, e = published.E } } }
            : new { issuer = Address, jwks_uri = $"{Address}/keys" });
    }
}
