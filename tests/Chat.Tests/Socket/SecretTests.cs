using System.Net;
using System.Net.Sockets;
using System.Text;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>No token or message content appears in a log, a trace or a metric, at any level, whatever fails.</summary>
public sealed class SecretTests
{
    [Fact]
    public async Task No_token_appears_in_any_log_trace_or_metric()
    {
        using var seen = new Eavesdropper();
        await using var app = await ChatApp.Start(Eavesdropper.EverythingLogged, onKestrel: true);
        seen.ListenTo(app);

        var user = ChatApp.NewUser();
        string[] tokens =
        [
            app.TokenFor(user),
            app.TokenFor(user, TimeSpan.FromMinutes(-5)),
            Forge.With(user, "sub", "nobody"),
            Forge.With(user, "aud", "elsewhere"),
            Forge.Rs256("""{"alg":"RS256","kid":"k"}""", Forge.Claims(user).ToJsonString()),
            Forge.Signed(Forge.Claims(user))[..^3],
            "not.a.token-but-secret-all-the-same",
        ];
        foreach (var token in tokens)
        {
            foreach (var query in (string[])[$"?token={token}", $"/?a=1&%74oken={token}&b=2", $"?TOKEN={token}"])
            {
                await using var byQuery = await app.Open(query);
                await byQuery.Next(token == tokens[0] ? "auth_success" : "auth_failed");
            }

            await using (var byHeader = await app.Open(bearer: token))
                await byHeader.Next(token == tokens[0] ? "auth_success" : "auth_failed");
            await using (var byFrame = await app.Open())
                await byFrame.Ask("auth", new { token });
            await using (var inTheWrongField = await app.Open(bearer: tokens[0]))
            {
                await inTheWrongField.Next("auth_success");
                await inTheWrongField.Ask("auth", new { token = new { token } });
                await inTheWrongField.Ask(token, new { });
                await inTheWrongField.Settle();
            }

            var http = app.Http();
            http.DefaultRequestHeaders.Authorization = new("Bearer", token);
            await http.GetAsync("/chat/unread");
            await app.Http().GetAsync($"/chat/ws?token={token}");
            await app.Http().GetAsync($"/chat/wss?token={token}");
            await app.Http().GetAsync($"/chat/unread?x=1&token={token}");
            // Invalid requests as well.
            foreach (var line in (string[])[
                $"GET /chat/ws?token={token} HTTP/9.9", $"GET /chat/ws?token={token} and more HTTP/1.1", $"{token} / HTTP/1.1"])
                Assert.Matches(" (400|505) ", await Ask(app, $"{line}\r\n\r\n"));
            // Detected by its format, whatever the parameter is called.
            if (!token.StartsWith("ey", StringComparison.Ordinal))
                continue;
            foreach (var address in (string[])[$"/chat/unread?a=1&access_token={token}", $"/nothing?q=Bearer%20{token}",
                $"/chat/ws?{token}", $"/chat/ws?x=https://elsewhere/%3Fjwt={token}", $"/chat/ws/{token}", $"/{token}?a=1"])
                await Ask(app, $"GET {address} HTTP/1.1\r\nHost: {app.Address.Authority}\r\n\r\n");
        }

        // Proof that the capture works: the address appears, with its other parameters.
        Assert.Contains(
            seen.Lines, line => line.Contains("/chat/ws", StringComparison.Ordinal) && line.Contains("a=1", StringComparison.Ordinal));
        Assert.Contains(seen.Lines, line => line.StartsWith("trace", StringComparison.Ordinal));
        foreach (var token in tokens)
        {
            // The signature is the secret part: without it the token is useless.
            var secret = token.Split('.')[^1];
            var told = seen.Lines.Where(line => line.Contains(secret, StringComparison.Ordinal))
                .Select(line => line[..Math.Min(line.Length, 400)]).ToArray();
            Assert.True(told.Length == 0, string.Join('\n', told.Take(10)));
        }
    }

    // As bytes, because client libraries do not send this or log it themselves; returns the first response line.
    private static async Task<string> Ask(ChatApp app, string request)
    {
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        using var tcp = new TcpClient();
        await tcp.ConnectAsync("127.0.0.1", app.Address.Port, timeout.Token);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), timeout.Token);
        using var reader = new StreamReader(tcp.GetStream());
        return await reader.ReadLineAsync(timeout.Token) ?? "";
    }

    [RedisFact]
    public async Task No_content_appears_in_any_log_trace_or_metric()
    {
        using var seen = new Eavesdropper();
        await using var redis = await RedisServer.Start();
        await using var app = await ChatApp.Start(new(
            Eavesdropper.EverythingLogged)
        { ["ConnectionStrings:Redis"] = redis.ConnectionString, ["Limits:MaxContentLength"] = "200" });
        await using var node = await app.StartNode();
        foreach (var one in (ChatApp[])[app, node])
            seen.ListenTo(one);
        var secret = $"nobody-else's-business-{Guid.NewGuid():N}";
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await node.Connect(bob);
        var conversation = await app.OpenDirect(alice, bob);

        // Sent, retried, over REST, too long, not text, not JSON, in the wrong place, in every other field.
        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, $"{secret} 1", $"t-{secret}")).Type);
        await atAlice.SendMessage(conversation, $"{secret} 1", $"t-{secret}");
        await atBob.NextMessage();
        await (await app.SendOverRest(alice, conversation, $"{secret} 2")).Is(HttpStatusCode.Created);
        await atAlice.SendMessage(conversation, string.Concat(Enumerable.Repeat(secret, 10)));
        await atAlice.SendMessage(conversation, $"{secret}\0");
        await atAlice.SendMessage(Guid.NewGuid(), secret);
        await atAlice.Ask("message.send", new { conversationId = secret, content = new { secret } });
        await atAlice.Ask("block.add", new { username = secret });
        await atAlice.Ask("sync", new { conversations = new Dictionary<string, object> { [secret] = secret } });
        await atAlice.Ask(secret, new { secret });
        await atAlice.SendText($"no JSON, but {secret}");
        await app.Http(alice)
            .PostAsync($"/chat/conversations/{conversation}/messages", new StringContent($"{{\"content\":\"{secret}\", no JSON"));
        await app.AskForDirect(alice, new { username = secret });
        // Read in every way.
        await app.History(bob, conversation);
        await app.ConversationPage(bob);
        await app.Conversation(bob, conversation);
        await atBob.Ask("sync", new { conversations = new { } });
        await atBob.Ask("message.read", new { conversationId = conversation });
        await atBob.Send("typing.start", new { conversationId = conversation });
        // The connection broke while it was being stored, and then the database hung.
        Task<Received> pending;
        await using (var held = await HeldLock.OfHead(app, conversation))
        {
            pending = atAlice.SendMessage(conversation, $"{secret} 3", "t3");
            await held.IsWaitedFor();
            held.BreakWaiting();
            await held.IsWaitedFor();
            (await pending).IsError("UNAVAILABLE");
            await held.Release();
        }

        // Between nodes without Redis.
        await redis.Kill();
        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, $"{secret} 4")).Type);
        for (var i = 0; i < 2; i++)
            await atBob.NextMessage();
        await atAlice.Settle();

        // Proof that the capture works.
        Assert.Contains(seen.Lines, line => line.Contains("mt_doc_message", StringComparison.Ordinal));
        Assert.Contains(seen.Lines, line => line.StartsWith("trace message.send", StringComparison.Ordinal));
        Assert.Contains(seen.Lines, line => line.StartsWith("metric chat.event.duration", StringComparison.Ordinal));
        Assert.DoesNotContain(seen.Lines, line => line.Contains(secret, StringComparison.Ordinal));
    }
}
