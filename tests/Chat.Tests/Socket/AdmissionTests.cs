using System.Net;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>Each limit on an app of its own, because it is the node's.</summary>
public sealed class AdmissionTests
{
    private const int ComeBackLater = 1013;

    [Fact]
    public async Task A_user_has_only_so_many_connections()
    {
        await using var app = await With("MaxConnectionsPerUser", 2);
        var user = ChatApp.NewUser();
        var first = await app.Connect(user);
        await using var second = await app.Connect(user);

        await using var third = await app.Open(bearer: app.TokenFor(user));
        Assert.Equal(ComeBackLater, await third.Closed());

        await first.Leave();
        await using var stranger = await app.Connect(ChatApp.NewUser());
        await using var again = await app.Connect(user);
        await again.Settle();
    }

    [Theory]
    [InlineData("MaxConnections")]
    [InlineData("MaxConnectionsPerAddress")]
    public async Task A_node_and_an_address_have_only_so_many_connections(string limit)
    {
        await using var app = await With(limit, 1);
        await using var first = await app.Connect(ChatApp.NewUser());

        await using var second = await app.Open(bearer: app.TokenFor(ChatApp.NewUser()));

        Assert.Equal(ComeBackLater, await second.Closed());
        Assert.Empty(second.Frames);
        await first.Settle();
    }

    [Fact]
    public async Task Whoever_shows_no_token_keeps_only_those_out_who_have_none_yet()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:MaxUnauthenticated"] = "1" }, onKestrel: true);
        await using var silent = await app.Open();

        var refused = await app.Http().SendAsync(Handshake());
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Equal(1000, (await refused.IsProblem(HttpStatusCode.ServiceUnavailable, "UNAVAILABLE")).GetProperty("retryAfterMs").GetInt32());
        await silent.Send("auth", new { token = app.TokenFor(ChatApp.NewUser()) });
        await silent.Next("auth_success");

        await using var next = await app.Connect(ChatApp.NewUser());
        await next.Settle();
    }

    [Fact]
    public async Task Handshakes_come_only_so_fast()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:HandshakesPerSecond"] = "1" }, fakeClock: true, onKestrel: true);
        await using var first = await app.Open();
        await using var second = await app.Open();

        var refused = await app.Http().SendAsync(Handshake());
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Equal(503, (int)refused.StatusCode);

        app.Clock!.Advance(TimeSpan.FromSeconds(1));
        await using var third = await app.Connect(ChatApp.NewUser());
        await third.Settle();
    }

    private static Task<ChatApp> With(string limit, int value) => ChatApp.Start(new() { [$"Limits:{limit}"] = $"{value}" });

    private static HttpRequestMessage Handshake() => new(HttpMethod.Get, "/chat/ws")
    {
        Headers =
        {
            { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" }, { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" },
        },
    };
}
