using System.Net;
using Chat.Backplane;
using Chat.Features;
using Chat.Tests.Fixtures;
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
    public async Task A_revoked_user_is_cut_on_every_node_and_their_tokens_are_worth_nothing()
    {
        await using var here = await app.Connect(alice);
        await using var there = await other.Connect(alice);
        await using var stranger = await app.Connect(ChatApp.NewUser());
        var token = app.TokenFor(alice);

        Assert.Equal(HttpStatusCode.NoContent, await app.Revoke(alice));

        Assert.Equal(4501, await here.Closed());
        Assert.Equal(4501, await there.Closed());
        await using var again = await app.Open(bearer: token);
        Assert.Equal("TOKEN_INVALID", (await again.Next("auth_failed"))["code"].GetString());
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http(alice).GetAsync("/chat/unread")).StatusCode);
        await stranger.Settle();
    }

    [Fact]
    public async Task A_token_that_is_issued_later_is_good_again()
    {
        await app.Revoke(alice);
        app.Clock!.Advance(TimeSpan.FromSeconds(2));

        await using var back = await app.Connect(alice);
        await back.Settle();
    }

    [Fact]
    public async Task A_node_that_was_not_told_finds_out_from_the_database()
    {
        await using var there = await other.Connect(alice);
        // Deaf for this user: as if the message had been lost.
        other.Services.GetRequiredService<RedisBackplane>().Unsubscribe(alice.Id);

        await app.Revoke(alice);
        other.Clock!.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(4501, await there.Closed());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("chat")]
    [InlineData("chat.administrator")]
    public async Task Only_an_admin_may(string? scope)
    {
        Assert.Equal(HttpStatusCode.Forbidden, await app.Revoke(alice, scope));
        await using var here = await app.Connect(alice);
        await here.Settle();
    }

    [Fact]
    public async Task Nobody_may_without_a_token() =>
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http().PostAsync($"/admin/users/{alice.Id}/revoke", null)).StatusCode);
}
