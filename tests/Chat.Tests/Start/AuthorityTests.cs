using System.Net;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Start;

/// <summary>Tokens of an issuer that publishes its keys.</summary>
public sealed class AuthorityTests
{
    [Fact]
    public async Task Tokens_are_checked_with_the_published_keys_also_after_these_have_changed()
    {
        await using var issuer = await FakeIssuer.Start();
        await using var app = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = issuer.Address,
            ["Jwt:Issuer"] = issuer.Address,
        });
        var user = ChatApp.NewUser();

        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));

        issuer.RotateKey();
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));

        // Neither somebody else's key, nor the shared secret of an installation without an authority.
        Assert.Equal("auth_failed", await FirstFrame(app, issuer.TokenFor(user, FakeIssuer.NewKey())));
        Assert.Equal("auth_failed", await FirstFrame(app, app.TokenFor(user)));
        Assert.Equal(HttpStatusCode.Unauthorized, await Rest(app, app.TokenFor(user)));
    }

    private static async Task<string> FirstFrame(ChatApp app, string token)
    {
        await using var client = await app.Open($"?token={token}");
        await client.Ask("ping", new { }).ContinueWith(_ => { }, TaskScheduler.Default);
        return client.Frames[0].Type;
    }

    private static async Task<HttpStatusCode> Rest(ChatApp app, string token)
    {
        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return (await http.GetAsync(new Uri("/chat/unread", UriKind.Relative))).StatusCode;
    }
}
