using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>The TCP connection below HTTP and WebSocket, and the transition between the two.</summary>
public sealed class TransportTests(SharedKestrel shared) : IClassFixture<SharedKestrel>
{
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public async Task Data_in_the_same_packet_as_the_handshake_is_not_lost(int pings)
    {
        using var socket = await RawSocket.Shake(
            app,
            $"Authorization: Bearer {app.TokenFor(alice)}\r\n",
            behind: [
                .. Enumerable.Range(0, pings).SelectMany(i => RawSocket.TextFrame($$"""{"type":"ping","id":"{{i}}","payload":{} }"""))]);

        Assert.Equal("auth_success", (await socket.Next(RawFrame.Text)).Type);
        for (var i = 0; i < pings; i++)
            Assert.StartsWith($"{{\"type\":\"pong\",\"id\":\"{i}\"", Encoding.UTF8.GetString((await socket.Next("pong")).Payload),
                StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Requests => new()
    {
        { "nothing", "" },
        { "half a line", "GET /chat/conv" },
        { "half a head", "GET /chat/conversations HTTP/1.1\r\nHost: x\r\n" },
        { "half a body", "POST /chat/conversations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{" },
        { "no end of answers", string.Concat(Enumerable.Repeat("GET /openapi/v1.json HTTP/1.1\r\nHost: x\r\n\r\n", 2000)) },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_client_that_disconnects_during_a_request_is_not_logged_as_an_error(string name, string request)
    {
        var logged = LogCapture.Of(app);
        using (var tcp = new TcpClient())
        {
            await tcp.ConnectAsync("127.0.0.1", app.Address.Port);
            using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
            // Sends until the responses fill the way back.
            await Record.ExceptionAsync(() => tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), timeout.Token).AsTask());
            tcp.Client.Close(timeout: 0);
        }

        using var http = app.Http(alice);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/chat/conversations")).StatusCode);
        // Only of the connection and its requests: on a busy machine Kestrel's heartbeat and others log as well.
        var faults = logged.All.Where(line =>
            (line.StartsWith("Microsoft.AspNetCore.", StringComparison.Ordinal)
                || line.StartsWith("Chat.Socket.", StringComparison.Ordinal))
            && !line.Contains("the heartbeat has been running", StringComparison.Ordinal));
        Assert.True(!faults.Any(), $"{name}: {string.Join("; ", faults)}");
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order()
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync("127.0.0.1", app.Address.Port);
        var stream = tcp.GetStream();
        foreach (var part in "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".Chunk(7))
            await stream.WriteAsync(Encoding.ASCII.GetBytes(part));

        using var answers = new StreamReader(stream);
        Assert.Equal(2, (await answers.ReadToEndAsync()).Split("HTTP/1.1 200 OK").Length - 1);
    }

    [Fact]
    public async Task Under_TLS_the_request_keeps_the_connection()
    {
        var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.pfx");
        try
        {
            using (var key = RSA.Create(2048))
            using (var certificate = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1).CreateSelfSigned(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(1)))
                await File.WriteAllBytesAsync(file, certificate.Export(X509ContentType.Pfx));
            await using var secure = await ChatApp.Start(
                new() { ["Kestrel:Endpoints:Https:Url"] = "https://127.0.0.1:0", ["Kestrel:Endpoints:Https:Certificate:Path"] = file },
                onKestrel: true);
            using var socket = new ClientWebSocket();
            socket.Options.RemoteCertificateValidationCallback =
                (_, _, _, faults) => faults == SslPolicyErrors.RemoteCertificateChainErrors;
            socket.Options.SetRequestHeader("Authorization", $"Bearer {secure.TokenFor(alice)}");
            await socket.ConnectAsync(new Uri($"wss://127.0.0.1:{secure.Address.Port}/chat/ws"), CancellationToken.None);
            await using var client = new SocketClient(socket);

            await client.Next("auth_success");
            Assert.Equal("pong", (await client.Ask("ping", new { timestamp = 1 })).Type);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
