using System.Net.Sockets;
using System.Text;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.BadInput;

/// <summary>Malformed or aborted request bodies: the client's fault, and never the database's.</summary>
public sealed class BrokenBodyTests : IAsyncLifetime
{
    private ChatApp app = null!;

    public async Task InitializeAsync() =>
        app = await ChatApp.Start(new() { ["Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics"] = "Information" }, onKestrel: true);

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task An_invalid_or_oversized_chunk_returns_400()
    {
        foreach (var size in (string[])["7fffffff0", "80000000", "ffffffff", "ffffffffffffffffff", "-1", "x", ""])
        {
            using var tcp = await Ask("Transfer-Encoding: chunked", $"{size}\r\n{{}}\r\n0\r\n\r\n");
            using var reader = new StreamReader(tcp.GetStream());
            using var timeout = new CancellationTokenSource(Eventually.Timeout);
            var answer = await reader.ReadToEndAsync(timeout.Token);

            Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
            Assert.Contains("VALIDATION_ERROR", answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_connection_reset_during_a_body_is_not_logged_as_an_error()
    {
        var logs = LogCapture.Of(app, LogLevel.Information);
        using (var tcp = await Ask("Content-Length: 100", "{"))
        {
            await Eventually.Until(
                "the request begins", () => logs.All.Any(line => line.Contains("Request starting", StringComparison.Ordinal)));
            tcp.LingerState = new LingerOption(enable: true, seconds: 0);
        }

        await Eventually.Until("the request ends", () => logs.All.Any(line => line.Contains("Request finished", StringComparison.Ordinal)));
        Assert.All(logs.All, line => Assert.StartsWith("Microsoft.AspNetCore.Hosting.Diagnostics: ", line, StringComparison.Ordinal));
    }

    private async Task<TcpClient> Ask(string header, string body)
    {
        var tcp = new TcpClient();
        await tcp.ConnectAsync("127.0.0.1", app.Address.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /chat/conversations HTTP/1.1\r\nHost: {app.Address.Authority}\r\nConnection: close\r\nAuthorization: Bearer {app.TokenFor(ChatApp.NewUser())}\r\n{header}\r\n\r\n{body}"));
        return tcp;
    }
}
