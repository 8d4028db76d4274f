using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Socket;

/// <summary>WebSockets over HTTP/2 (RFC 8441): each is a stream, and one connection carries many.</summary>
public sealed class Http2Tests : IAsyncLifetime, IDisposable
{
    private readonly HttpMessageInvoker oneConnection = new(new SocketsHttpHandler { UseProxy = false });
    private ChatApp app = null!;

    // Without TLS, and thus without ALPN, the endpoint must be HTTP/2-only.
    public async Task InitializeAsync() =>
        app = await ChatApp.Start(new() { ["Kestrel:EndpointDefaults:Protocols"] = "Http2" }, onKestrel: true);

    public async Task DisposeAsync() => await app.DisposeAsync();

    public void Dispose() => oneConnection.Dispose();

    [Fact]
    public async Task Two_users_chat_over_one_connection_and_one_leaves()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await Connect($"Bearer {app.TokenFor(alice)}");
        await using var atBob = await Connect($"Bearer {app.TokenFor(bob)}");
        await atAlice.Next("auth_success");
        await atBob.Next("auth_success");
        var conversation = await OpenDirect(alice, bob);

        var sent = await atAlice.SendMessage(conversation, "hello", "t1");
        Assert.Equal("message.sent", sent.Type);
        Assert.Equal(sent.Id("message.id"), (await atBob.NextMessage()).Id("message.id"));

        // The end of a stream leaves the connection and the other stream open.
        await atAlice.Leave();
        Assert.Equal("message.sent", (await atBob.SendMessage(conversation, "good bye", "t2")).Type);
    }

    [Fact]
    public async Task Close_codes_and_a_foreign_origins_403_work_over_HTTP2()
    {
        await using var stranger = await Connect("Bearer nonsense");
        await stranger.Next("auth_failed");
        Assert.Equal(4501, await stranger.Closed());

        using var page = Socket();
        page.Options.SetRequestHeader("Origin", "https://elsewhere.example");
        await Assert.ThrowsAsync<WebSocketException>(() => page.ConnectAsync(At, oneConnection, CancellationToken.None));
        Assert.Equal(HttpStatusCode.Forbidden, page.HttpStatusCode);
    }

    [Fact]
    public async Task CONNECT_for_a_tunnel_returns_405()
    {
        var logs = LogCapture.Of(app, LogLevel.Information);
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        using var tcp = new TcpClient();
        await tcp.ConnectAsync("127.0.0.1", app.Address.Port, timeout.Token);
        // Preface and SETTINGS; HEADERS that end stream 1: :method CONNECT, :authority a:1, as literals (RFC 9113, 8.5; RFC 7541, 6.2.2).
        byte[] fields = [0x02, 7, .. "CONNECT"u8, 0x01, 3, .. "a:1"u8];
        await tcp.GetStream().WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
            (byte)fields.Length, 1, 5, 0, 0, 0, 1, .. fields], timeout.Token);

        var head = new byte[9];
        var payload = Array.Empty<byte>();
        do
        {
            await tcp.GetStream().ReadExactlyAsync(head, timeout.Token);
            payload = new byte[(head[0] << 16) | (head[1] << 8) | head[2]];
            await tcp.GetStream().ReadExactlyAsync(payload, timeout.Token);
        }
        while (head[3] != 1);

        // :status as a literal with the name of entry 8 of the static table, with or without a preceding table size update.
        Assert.Contains("405", Encoding.Latin1.GetString(payload), StringComparison.Ordinal);
        Assert.DoesNotContain(logs.All, line => line.Contains("xception", StringComparison.Ordinal));
    }

    private Uri At => new($"ws://{app.Address.Authority}/chat/ws");

    private static ClientWebSocket Socket() => new()
    {
        Options = { HttpVersion = HttpVersion.Version20, HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            CollectHttpResponseDetails = true },
    };

    // Over the same connection.
    private async Task<Guid> OpenDirect(TestUser caller, TestUser other)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(app.Address, "/chat/conversations"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = JsonContent.Create(new { userId = other.Id }),
            Headers = { Authorization = new("Bearer", app.TokenFor(caller)) },
        };
        using var response = await oneConnection.SendAsync(request, CancellationToken.None);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).Id("id");
    }

    private async Task<SocketClient> Connect(string authorization)
    {
        var socket = Socket();
        socket.Options.SetRequestHeader("Authorization", authorization);
        await socket.ConnectAsync(At, oneConnection, CancellationToken.None);
        return new SocketClient(socket);
    }
}
