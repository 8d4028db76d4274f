using System.Net;
using Chat.Features;
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

    [Fact]
    public async Task Until_the_issuer_has_given_its_keys_nobody_is_told_that_their_token_is_wrong()
    {
        await using var issuer = await FakeIssuer.Start();
        issuer.IsAway = true;
        await using var app = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = issuer.Address,
            ["Jwt:Issuer"] = issuer.Address,
        });
        var user = ChatApp.NewUser();

        foreach (var query in (string?[])[$"?token={issuer.TokenFor(user)}", null])
        {
            await using var client = await app.Open(query);
            if (query is null)
                await client.Send("auth", new { token = issuer.TokenFor(user) });
            // Come back later.
            Assert.Equal(1013, await client.Closed());
            Assert.Empty(client.Frames);
        }

        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", issuer.TokenFor(user));
        var refused = await http.GetAsync(new Uri("/chat/unread", UriKind.Relative));
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.True((await refused.IsProblem(HttpStatusCode.ServiceUnavailable, "UNAVAILABLE")).GetProperty("retryable").GetBoolean());
        await (await app.Http().GetAsync(new Uri("/chat/unread", UriKind.Relative))).IsProblem(HttpStatusCode.Unauthorized, "UNAUTHORIZED");
        Assert.Equal("its keys are missing", (await app.Ready(HttpStatusCode.ServiceUnavailable)).GetProperty("issuer").GetString());

        issuer.IsAway = false;
        await Eventually.IsRight(
            async () => await Rest(app, issuer.TokenFor(user)) is not HttpStatusCode.OK and var status ? $"still {status}" : null);
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        await app.Ready(HttpStatusCode.OK);

        // Keys that have been there are kept, whatever becomes of the issuer.
        issuer.IsAway = true;
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
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
