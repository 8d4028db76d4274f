using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Chat.Embedded;
using StackExchange.Redis;

namespace Chat.Tests.Embedded;

public sealed class EmbeddedRedisTests
{
    [Fact]
    public async Task The_password_is_required()
    {
        using var server = EmbeddedRedis.Start();
        var options = ConfigurationOptions.Parse(server.ConnectionString);
        await using var own = await ConnectionMultiplexer.ConnectAsync(options);
        await own.GetDatabase().StringSetAsync("key", "value");

        foreach (var password in (string?[])[null, "", "guess"])
        {
            var guess = options.Clone();
            (guess.Password, guess.ConnectRetry) = (password, 0);
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await using var stranger = await ConnectionMultiplexer.ConnectAsync(guess);
                await stranger.GetDatabase().StringGetAsync("key");
            });
        }
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {0}\r\n\r\n{1}")]
    [InlineData("{1}")]
    public async Task A_web_page_cannot_call_it(string request)
    {
        const string Commands = "*3\r\n$3\r\nSET\r\n$6\r\nplanted\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$7\r\nplanted\r\n$1\r\n1\r\n";
        using var server = EmbeddedRedis.Start();
        var options = ConfigurationOptions.Parse(server.ConnectionString);
        using (var tcp = new TcpClient())
        {
            await tcp.ConnectAsync((System.Net.IPEndPoint)options.EndPoints[0]);
            await tcp.GetStream()
                .WriteAsync(Encoding.ASCII.GetBytes(string.Format(CultureInfo.InvariantCulture, request, Commands.Length, Commands)));
            // Once it has replied, whatever the reply, it has read the command.
            await Record.ExceptionAsync(
                async () => await tcp.GetStream().ReadAsync(new byte[1]).AsTask().WaitAsync(TimeSpan.FromSeconds(2)));
        }

        await using var own = await ConnectionMultiplexer.ConnectAsync(options);
        Assert.False(await own.GetDatabase().KeyExistsAsync("planted"));
    }
}
