using System.Net.WebSockets;
using Chat.Edge;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Edge;

/// <summary>Which address a connection is counted for: the one reported by a trusted proxy, and no other.</summary>
public sealed class ProxyTests
{
    private const int ComeBackLater = 1013;

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.1.2.3, 127.0.0.0/8")]
    public async Task Behind_a_trusted_proxy_each_client_has_its_own_address(string known)
    {
        await using var app = await Start(known);
        await using var first = await Connect(app, "203.0.113.1");
        await using var second = await Connect(app, "203.0.113.2");
        await first.Next("auth_success");
        await second.Next("auth_success");

        await using var again = await Connect(app, "203.0.113.1");
        Assert.Equal(ComeBackLater, await again.Closed());
        // Entries before the proxy's own come from the client and are not trusted.
        await using var liar = await Connect(app, "198.51.100.7, 203.0.113.2");
        Assert.Equal(ComeBackLater, await liar.Closed());
    }

    [Theory]
    [InlineData("")]
    [InlineData("10.0.0.0/8")]
    public async Task Clients_cannot_spoof_their_address(string known)
    {
        await using var app = await Start(known);
        await using var first = await Connect(app, "203.0.113.1");
        await first.Next("auth_success");

        await using var second = await Connect(app, "203.0.113.2");
        Assert.Equal(ComeBackLater, await second.Closed());
    }

    [Theory]
    [InlineData("10.0.0.0/8, fd00::/8, 192.0.2.1, ::1", true)]
    [InlineData("10.0.0.0/33", false)]
    [InlineData("proxy.example", false)]
    [InlineData("*", false)]
    // All addresses, and half of them.
    [InlineData("0.0.0.0/0", false)]
    [InlineData("10.0.0.1, 128.0.0.0/1", false)]
    [InlineData("::/0", false)]
    public void An_invalid_proxy_list_is_rejected_at_startup(string known, bool isGood) =>
        Assert.Equal(isGood, Proxies.Validate(known) is null);

    private static Task<ChatApp> Start(string known) =>
        ChatApp.Start(new() { ["Proxies:Known"] = known, ["Limits:MaxConnectionsPerAddress"] = "1" }, onKestrel: true);

    private static async Task<SocketClient> Connect(ChatApp app, string forwardedFor)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("X-Forwarded-For", forwardedFor);
        socket.Options.SetRequestHeader("Authorization", $"Bearer {app.TokenFor(ChatApp.NewUser())}");
        await socket.ConnectAsync(new Uri($"ws://{app.Address.Authority}/chat/ws"), CancellationToken.None);
        return new SocketClient(socket);
    }
}
