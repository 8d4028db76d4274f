using System.Net;
using Chat.Backplane;
using Chat.Features;
using Chat.Tests.Fixtures;
using Chat.Tests.Socket;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class RevocationTests : IAsyncLifetime
{
    private readonly TestUser alice = ChatApp.NewUser();
    private ChatApp app = null!;
    private ChatApp other = null!;

    public async Task InitializeAsync()
    {
        app = await ChatApp.Start(fakeClock: true);
        other = await app.StartNode();
    }

    public async Task DisposeAsync()
    {
        await other.DisposeAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task Revoking_a_user_closes_their_connections_on_every_node_and_invalidates_their_tokens()
    {
        await using var here = await app.Connect(alice);
        await using var there = await other.Connect(alice);
        await using var stranger = await app.Connect(ChatApp.NewUser());
        var token = app.TokenFor(alice);

        Assert.Equal(HttpStatusCode.NoContent, await app.Revoke(alice));

        Assert.Equal(4501, await here.Closed());
        Assert.Equal(4501, await there.Closed());
        await using var again = await app.Open(bearer: token);
        Assert.Equal("TOKEN_INVALID", (await again.Next("auth_failed")).Text("code"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http(alice).GetAsync("/chat/unread")).StatusCode);
        await stranger.Settle();
    }

    [Fact]
    public async Task A_token_issued_after_the_revocation_is_valid()
    {
        await app.Revoke(alice);
        app.Clock!.Advance(TimeSpan.FromSeconds(2));

        await using var back = await app.Connect(alice);
        await back.Settle();
    }

    [Fact]
    public async Task A_node_that_missed_a_revocation_finds_it_in_the_database()
    {
        await using var there = await other.Connect(alice);
        // Unsubscribed from this user: as if the message had been lost.
        other.Services.GetRequiredService<RedisBackplane>().Unsubscribe(alice.Id);

        await app.Revoke(alice);
        other.Clock!.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(4501, await there.Closed());
    }

    /// <summary>Timestamps give no order: a revocation stamped by a node whose clock is ahead must not hide later ones.</summary>
    [Fact]
    public async Task A_revocation_after_one_with_a_timestamp_ahead_is_still_found()
    {
        await using var ahead = await app.StartNode(new(app.Clock!.GetUtcNow() + TimeSpan.FromMinutes(5)));
        Assert.Equal(HttpStatusCode.NoContent, await ahead.Revoke(ChatApp.NewUser()));
        other.Clock!.Advance(TimeSpan.FromSeconds(2));
        await using var there = await other.Connect(alice);
        other.Services.GetRequiredService<RedisBackplane>().Unsubscribe(alice.Id);

        await app.Revoke(alice);
        other.Clock!.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(4501, await there.Closed());
    }

    [Fact]
    public async Task A_node_whose_clock_is_ahead_does_not_revoke_tokens_of_the_next_minutes()
    {
        await using var ahead = await app.StartNode(new(app.Clock!.GetUtcNow() + TimeSpan.FromMinutes(5)));
        await ahead.Revoke(alice);
        app.Clock.Advance(TimeSpan.FromMinutes(1));

        await using var back = await app.Connect(alice);
        await back.Settle();
    }

    /// <summary>The issuer's clock is ahead within the skew: tokens issued before the revocation appear to come after it.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData(29)]
    public async Task A_token_from_an_issuer_whose_clock_is_ahead_does_not_survive_a_revocation(int seconds)
    {
        var token = TokenOf(alice, seconds);
        await using var here = await app.Open(bearer: token);
        await here.Next("auth_success");
        await using var there = await other.Open(bearer: token);
        await there.Next("auth_success");

        await app.Revoke(alice);

        Assert.Equal(4501, await here.Closed());
        Assert.Equal(4501, await there.Closed());
        await using var again = await other.Open(bearer: token);
        Assert.Equal("TOKEN_INVALID", (await again.Next("auth_failed")).Text("code"));
        app.Clock!.Advance(TimeSpan.FromSeconds(2));
        await using var back = await app.Open(bearer: TokenOf(alice, seconds));
        await back.Next("auth_success");
    }

    [Fact]
    public async Task A_token_issued_after_a_revocation_by_an_issuer_whose_clock_is_behind_is_valid()
    {
        const int Behind = -20;
        foreach (var somebody in Enumerable.Range(0, 4).Select(_ => ChatApp.NewUser()))
            await (await app.Open(bearer: TokenOf(somebody, Behind))).DisposeAsync();
        await using var here = await app.Open(bearer: TokenOf(alice, Behind));
        await here.Next("auth_success");

        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", TokenOf(ChatApp.NewUser(), Behind, "chat.admin"));
        Assert.Equal(HttpStatusCode.NoContent, (await http.PostAsync($"/admin/users/{alice.Id}/revoke", null)).StatusCode);
        Assert.Equal(4501, await here.Closed());

        app.Clock!.Advance(TimeSpan.FromSeconds(3));
        await using var back = await app.Open(bearer: TokenOf(alice, Behind));
        await back.Next("auth_success");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("chat")]
    [InlineData("chat.administrator")]
    public async Task Only_an_administrator_may(string? scope)
    {
        Assert.Equal(HttpStatusCode.Forbidden, await app.Revoke(alice, scope));
        await using var here = await app.Connect(alice);
        await here.Settle();
    }

    [Fact]
    public async Task Signing_out_everywhere_closes_all_own_connections_and_revokes_only_own_tokens()
    {
        var token = app.TokenFor(alice);
        await using var here = await app.Connect(alice);
        await using var there = await other.Open(bearer: token);
        await there.Next("auth_success");
        var bob = ChatApp.NewUser();
        await using var stranger = await other.Connect(bob);

        Assert.Equal(HttpStatusCode.NoContent, await app.SignOutEverywhere(token));

        Assert.Equal(4501, await here.Closed());
        Assert.Equal(4501, await there.Closed());
        foreach (var node in (ChatApp[])[app, other])
        {
            await using var again = await node.Open(bearer: token);
            Assert.Equal("TOKEN_INVALID", (await again.Next("auth_failed")).Text("code"));
            // A revoked token cannot revoke anything.
            Assert.Equal(HttpStatusCode.Unauthorized, await node.SignOutEverywhere(token));
        }

        await stranger.Settle();
        Assert.Equal(HttpStatusCode.OK, (await app.Http(bob).GetAsync("/chat/unread")).StatusCode);
        app.Clock!.Advance(TimeSpan.FromSeconds(2));
        await using var back = await other.Connect(alice);
        await back.Settle();
    }

    [Fact]
    public async Task Signing_out_everywhere_revokes_the_callers_token_even_if_the_issuers_clock_is_ahead()
    {
        var token = TokenOf(alice, 20);

        Assert.Equal(HttpStatusCode.NoContent, await app.SignOutEverywhere(token));

        Assert.Equal(HttpStatusCode.Unauthorized, await app.SignOutEverywhere(token));
    }

    [Fact]
    public async Task Signing_out_everywhere_is_rate_limited_as_a_user_request()
    {
        await using var strict = await ChatApp.Start(new() { ["Limits:RequestsPerSecond"] = "1" });
        // The burst has been used up.
        foreach (var _ in Enumerable.Range(0, 2))
            Assert.Equal(HttpStatusCode.OK, (await strict.Http(alice).GetAsync("/chat/unread")).StatusCode);

        Assert.Equal(HttpStatusCode.TooManyRequests, await strict.SignOutEverywhere(strict.TokenFor(alice)));
    }

    private string TokenOf(TestUser user, int ahead, string? scope = null)
    {
        var claims = Forge.Claims(user);
        claims["iat"] = app.Clock!.GetUtcNow().ToUnixTimeSeconds() + ahead;
        claims["scope"] = scope;
        return Forge.Signed(claims);
    }

    [Fact]
    public async Task Without_a_token_it_is_rejected() =>
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http().PostAsync($"/admin/users/{alice.Id}/revoke", null)).StatusCode);
}
