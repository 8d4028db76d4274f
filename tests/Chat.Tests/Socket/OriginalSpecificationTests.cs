using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>
/// A client written from the original protocol specification, before the server existed: it knows none of the later additions,
/// omits what may be omitted, formats ids in its own way, and reads every specified field.
/// </summary>
public sealed class OriginalSpecificationTests(SharedKestrel shared) : IClassFixture<SharedKestrel>
{
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Theory]
    [InlineData("query")]
    [InlineData("header")]
    [InlineData("bare header")]
    [InlineData("event")]
    public async Task Signs_in_in_every_way(string way)
    {
        using var client = await Client.Connect(app, way switch { "query" => $"?token={app.TokenFor(alice)}", _ => "" }, way switch
        {
            "header" => $"Bearer {app.TokenFor(alice)}",
            "bare header" => app.TokenFor(alice),
            _ => null,
        });
        if (way == "event")
        {
            await client.Say($$$"""{"type":"ping"}""");
            Assert.Equal("UNAUTHORIZED", (await client.Hear("error")).Text("code"));
            await client.Say($$$"""{"type":"auth","payload":{"token":"{{{app.TokenFor(alice)}}}"}}""");
        }

        var accepted = await client.Hear("auth_success");
        Assert.Equal($"{alice.Id}", accepted.Text("userId"));
        Assert.NotEqual(Guid.Empty, accepted.Id("connectionId"));
        Assert.NotEqual(default, accepted.Time("connectedAt"));

        await client.Say($$$"""{"type":"auth","payload":{"token":"{{{app.TokenFor(alice)}}}"}}""");
        Assert.Equal($"{alice.Id}", (await client.Hear("auth_success")).Text("userId"));
    }

    [Fact]
    public async Task The_query_is_checked_before_the_header()
    {
        using var client = await Client.Connect(app, $"?token={app.TokenFor(alice)}", $"Bearer {app.TokenFor(bob)}");
        Assert.Equal($"{alice.Id}", (await client.Hear("auth_success")).Text("userId"));

        using var bad = await Client.Connect(app, "?token=bad", $"Bearer {app.TokenFor(bob)}");
        Assert.Equal("TOKEN_INVALID", (await bad.Hear("auth_failed")).Text("code"));
    }

    [Fact]
    public async Task An_expired_or_missing_token_is_reported_then_closed_with_4501()
    {
        foreach (var (token, code) in new[] { (app.TokenFor(alice, TimeSpan.FromMinutes(-5)), "TOKEN_EXPIRED"),
            ("nonsense", "TOKEN_INVALID") })
        {
            using var client = await Client.Connect(app, $"?token={token}", null);
            var failed = await client.Hear("auth_failed");
            Assert.Equal(code, failed.Text("code"));
            Assert.NotEmpty(failed.Text("message"));
            Assert.Equal(4501, await client.Closed());
        }

        using var other = await SignedIn(alice);
        await other.Say($$$"""{"type":"auth","payload":{"token":"{{{app.TokenFor(bob)}}}"}}""");
        await other.Hear("auth_failed");
        Assert.Equal(4501, await other.Closed());
    }

    [Fact]
    public async Task Pings()
    {
        using var client = await SignedIn(alice);
        await client.Say("""{"type":"ping"}""");
        Assert.InRange((await client.Hear("pong")).Number("timestamp"), 1_600_000_000_000, 5_000_000_000_000);
        await client.Say("""{"type":"ping","payload":{"timestamp":7}}""");
        Assert.Equal(7, (await client.Hear("pong")).Number("timestamp"));
    }

    [Fact]
    public async Task Sends_and_reads()
    {
        var conversation = await Open(alice, bob);
        using var atAlice = await SignedIn(alice);
        using var atBob = await SignedIn(bob);

        await atAlice.Say($$$"""{"type":"message.send","payload":{"conversationId":"{{{conversation:N}}}","content":"hello"}}""");
        var sent = await atAlice.Hear("message.sent");
        Assert.Equal("", sent.Text("tempId"));
        Assert.Equal($"{conversation}", sent.Text("message.conversationId"));
        var received = (await atBob.Hear("message.new")).Field("message");
        Assert.Equal(("hello", $"{alice.Id}"), (received.Text("content"), received.Text("senderId")));

        // An empty tempId counts as omitted: both are stored.
        foreach (var text in (string[])["one", "two"])
        {
            await atAlice.Say(
                $$$"""{"type":"message.send","payload":{"conversationId":"{{{conversation:B}}}","content":"{{{text}}}","tempId":""}}""");
            var answer = await atAlice.Hear("message.sent");
            Assert.Equal(
                (text, ""), (answer.Text("message.content"), answer.Text("tempId")));
            Assert.False(answer.Field("message").Has("tempId"));
        }

        await atAlice.Say(
            $$$"""{"type":"message.send","payload":{"conversationId":"{{{$"{conversation}".ToUpperInvariant()}}}","content":"three","tempId":"t3"}}""");
        Assert.Equal("t3", (await atAlice.Hear("message.sent")).Text("tempId"));

        await atBob.Say($$$"""{"type":"message.read","payload":{"conversationId":"{{{conversation:P}}}"}}""");
        Assert.Equal(4, (await atBob.Hear("message.read_ack")).Number("markedCount"));
        Assert.Equal(4, (await atAlice.Hear("message.read_update")).List("messageIds").Length);
    }

    [Fact]
    public async Task Blocks_by_username_and_receives_presence()
    {
        var conversation = await Open(alice, bob);
        using var atAlice = await SignedIn(alice);
        using var atBob = await SignedIn(bob);
        Assert.Equal($"{bob.Id}", (await atAlice.Hear("user.online")).Text("userId"));
        var there = (await atBob.Hear("status.bulk")).List("users").Single();
        Assert.Equal(($"{alice.Id}", true), (there.Text("userId"), there.Flag("online")));

        await atAlice.Say($$$"""{"type":"block.add","payload":{"username":"{{{bob.Username}}}"}}""");
        var blocked = await atAlice.Hear("block.added");
        Assert.Equal(($"{bob.Id}", bob.Username), (blocked.Text("userId"), blocked.Text("username")));
        await atBob.Say($$$"""{"type":"message.send","payload":{"conversationId":"{{{conversation}}}","content":"hello"}}""");
        Assert.Equal("BLOCKED", (await atBob.Hear("error")).Text("code"));
        await atAlice.Say($$$"""{"type":"block.remove","payload":{"username":"{{{bob.Username}}}"}}""");
        Assert.Equal($"{bob.Id}", (await atAlice.Hear("block.removed")).Text("userId"));
    }

    [Theory]
    [InlineData("no JSON", "INVALID_MESSAGE")]
    [InlineData("""{"type":"nonsense"}""", "UNKNOWN_EVENT")]
    [InlineData("""{"type":"message.send"}""", "VALIDATION_ERROR")]
    [InlineData("""{"type":"message.send","payload":{"conversationId":"7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a","content":"x"}}""", "FORBIDDEN")]
    [InlineData("""{"type":"message.read","payload":{"conversationId":"7d6e5f4a-3b2c-1d0e-9f8a-7b6c5d4e3f2a"}}""", "FORBIDDEN")]
    [InlineData("""{"type":"block.add","payload":{"username":"nobody-has-this-name"}}""", "NOT_FOUND")]
    [InlineData("""{"type":"message.send","payload":{"conversationId":"7d6e5f4a","content":"x"}}""", "VALIDATION_ERROR")]
    [InlineData("""{"type":"message.send","payload":{"conversationId":7,"content":"x"}}""", "VALIDATION_ERROR")]
    public async Task Errors_have_their_codes_and_close_nothing(string frame, string code)
    {
        using var client = await SignedIn(alice);
        await client.Say(frame);
        var error = await client.Hear("error");
        Assert.Equal(code, error.Text("code"));
        Assert.NotEmpty(error.Text("message"));
        await client.Say("""{"type":"ping"}""");
        await client.Hear("pong");
    }

    [Fact]
    public async Task REST_accepts_a_bare_token_and_ids_in_every_format()
    {
        var conversation = await Open(alice, bob);
        using var http = new HttpClient { BaseAddress = app.Address };
        http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", app.TokenFor(alice));

        foreach (var form in (string[])[
            $"{conversation:D}", $"{conversation:N}", $"{conversation:B}", $"{conversation:P}", $"{conversation}".ToUpperInvariant()])
        {
            var answer = await http.GetFromJsonAsync<JsonElement>($"/chat/conversations/{Uri.EscapeDataString(form)}");
            Assert.Equal($"{conversation}", answer.Text("id"));
        }

        foreach (var form in (string[])[$"{bob.Id:N}", $"{bob.Id:B}", $"{bob.Id}".ToUpperInvariant()])
        {
            var answer = await http.GetFromJsonAsync<JsonElement>($"/chat/presence?userIds={Uri.EscapeDataString(form)}");
            Assert.Equal($"{bob.Id}", answer.Field("users")[0].Text("userId"));
            using var opened = await http.PostAsJsonAsync("/chat/conversations", new { userId = form });
            Assert.Equal(HttpStatusCode.OK, opened.StatusCode);
        }
    }

    private async Task<Client> SignedIn(TestUser user)
    {
        var client = await Client.Connect(app, $"?token={app.TokenFor(user)}", null);
        await client.Hear("auth_success");
        return client;
    }

    private async Task<Guid> Open(TestUser caller, TestUser other)
    {
        using var http = new HttpClient { BaseAddress = app.Address };
        http.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(caller));
        using var opened = await http.PostAsJsonAsync("/chat/conversations", new { userId = other.Id });
        return (await opened.Content.ReadFromJsonAsync<JsonElement>()).Id("id");
    }

    private sealed class Client(ClientWebSocket socket) : IDisposable
    {
        public static async Task<Client> Connect(ChatApp app, string query, string? authorization)
        {
            var socket = new ClientWebSocket();
            if (authorization is not null)
                socket.Options.SetRequestHeader("Authorization", authorization);
            await socket.ConnectAsync(new Uri($"ws://{app.Address.Authority}/chat/ws{query}"), CancellationToken.None);
            return new Client(socket);
        }

        public Task Say(string frame) =>
            socket.SendAsync(Encoding.UTF8.GetBytes(frame), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

        /// <summary>Returns the payload of the next event of a type; skips unknown ones.</summary>
        public async Task<JsonElement> Hear(string type)
        {
            while (true)
            {
                var frame = JsonDocument.Parse(await Read()
                    ?? throw new InvalidOperationException($"Closed with {socket.CloseStatus} instead of {type}.")).RootElement;
                if (frame.Text("type") == type)
                    return frame.Field("payload");
            }
        }

        public async Task<int> Closed()
        {
            while (await Read() is not null)
            {
            }

            return (int)socket.CloseStatus!;
        }

        public void Dispose() => socket.Dispose();

        private async Task<byte[]?> Read()
        {
            using var timeout = new CancellationTokenSource(Eventually.Timeout);
            using var frame = new MemoryStream();
            var buffer = new byte[4096];
            while (true)
            {
                var part = await socket.ReceiveAsync(buffer, timeout.Token);
                if (part.MessageType == WebSocketMessageType.Close)
                    return null;
                frame.Write(buffer, 0, part.Count);
                if (part.EndOfMessage)
                    return frame.ToArray();
            }
        }
    }
}
