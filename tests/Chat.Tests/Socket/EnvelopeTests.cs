using System.Text;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>The form of frames and replies, and the order of replies.</summary>
public sealed class EnvelopeTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private static readonly string[] ErrorFields = ["code", "message", "retryable", "retryAfterMs", "tempId", "field"];
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    public static TheoryData<string> NoEnvelopes =>
    [
        "", " ", "x", "null", "true", "1", "\"ping\"", "[]", "{}", "{", "}", "{]", "{\"type\":\"ping\"", "'{}'",
            "\uFEFF{\"type\":\"ping\",\"payload\":{}}",
        """{"payload":{}}""",
        """{"type":null,"payload":{}}""",
        """{"type":1,"payload":{}}""",
        """{"type":["ping"],"payload":{}}""",
        """{"type":"ping","payload":null,"payload":null}""",
        """{"type":"ping","payload":{},"payload":null}""",
        """{"type":"ping","payload":[]}""",
        """{"type":"ping","payload":"{}"}""",
        """{"type":"ping","payload":{}""",
        """{"type":"ping","payload":{},}""",
        """{"type":"ping","payload":{}} {}""",
        """{"type":"ping","payload":{}}x""",
        """{"type":"ping","payload":{/**/}}""",
        """{"type":"ping","payload":{"timestamp":01}}""",
        """{"type":"ping","payload":{"timestamp":NaN}}""",
        """{type:"ping",payload:{}}""",
        """{"Type":"ping","Payload":{}}""",
        """{"type":"ping","type":"ping","payload":{}}""",
        """{"type":"ping","payload":{},"payload":{}}""",
        """{"type":"ping","id":"a","id":"a","payload":{}}""",
        """{"type":"ping","id":1,"payload":{}}""",
        """{"type":"ping","id":{},"payload":{}}""",
        """{"type":"\ud800","payload":{}}""",
        """{"type":"ping","id":"\udc00","payload":{}}""",
        """{"\ud800":1,"type":"ping","payload":{}}""",
    ];

    [Theory]
    [MemberData(nameof(NoEnvelopes))]
    public async Task An_invalid_envelope_is_answered_INVALID_MESSAGE_and_the_connection_stays_open(string text)
    {
        await using var client = await app.Connect(alice);

        await client.SendText(text);
        await client.Settle();

        var error = Assert.Single(client.Frames, frame => frame.Type == "error");
        Assert.Equal("INVALID_MESSAGE", error["code"].GetString());
        Assert.Null(error.Id);
        AssertErrorForm(error);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("")]
    [InlineData("PING")]
    [InlineData(" ping")]
    [InlineData("ping\\u0000")]
    [InlineData("message.sent")]
    [InlineData("message.new")]
    [InlineData("auth_success")]
    [InlineData("error")]
    public async Task An_unknown_type_is_answered_under_its_id(string type)
    {
        await using var client = await app.Connect(alice);

        await client.SendText($$"""{"type":"{{type}}","id":"x1","payload":{} }""");

        var error = await client.ReplyTo("x1");
        Assert.Equal("error", error.Type);
        Assert.Equal("UNKNOWN_EVENT", error["code"].GetString());
        AssertErrorForm(error);
        await client.Settle();
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("")]
    [InlineData("with \"quotes\" and \\ and / and \b\f\n\r\t")]
    [InlineData("<script>&amp;'")]
    [InlineData("größer, 大きい, 🙂, e\u0301, \u202E")]
    [InlineData("\0\u0001\u007F\u2028\uFFFF")]
    public async Task An_id_is_echoed_unchanged(string id)
    {
        await using var client = await app.Connect(alice);

        await client.Send("ping", new { }, id);
        Assert.Equal("pong", (await client.ReplyTo(id)).Type);

        await client.Send("nonsense", new { }, id);
        Assert.Equal("error", (await client.ReplyTo(id)).Type);
    }

    [Fact]
    public async Task A_long_id_is_echoed_in_full()
    {
        var id = new string('<', 60_000);
        await using var client = await app.Connect(alice);

        await client.SendText($$"""{"type":"ping","payload":{},"id":"{{id}}"}""");

        Assert.Equal("pong", (await client.ReplyTo(id)).Type);
    }

    [Fact]
    public async Task Without_an_id_replies_have_none()
    {
        await using var client = await app.Connect(alice);

        await client.Send("ping", new { });
        await client.Send("nonsense", new { });

        Assert.Null((await client.Next("pong")).Id);
        Assert.Null((await client.Next("error")).Id);
    }

    [Fact]
    public async Task Pushes_have_no_id()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);

        await atAlice.SendMessage(conversation, "hello");
        await atBob.NextMessage();
        await atBob.Next("notification.unread");
        var read = await atBob.Ask("message.read", new { conversationId = conversation });
        await atAlice.Next("message.read_update");
        await atAlice.Settle();

        Assert.Equal("message.read_ack", read.Type);
        string[] replies = ["message.sent", "message.read_ack", "pong"];
        Assert.All(atAlice.Frames.Concat(atBob.Frames), frame => Assert.Equal(replies.Contains(frame.Type), frame.Id is not null));
    }

    [Fact]
    public async Task Field_order_and_unknown_fields_do_not_matter()
    {
        await using var client = await app.Connect(alice);

        await client.SendText(
            """{"payload":{"more":{"a":[1,{}]},"timestamp":7,"Timestamp":8},"v":[[]],"id":"p1","type":"ping","trace":null}""");

        var pong = await client.ReplyTo("p1");
        Assert.Equal("pong", pong.Type);
        Assert.Equal(7, pong["timestamp"].GetInt32());
    }

    [Fact]
    public async Task Field_names_may_contain_escapes()
    {
        await using var client = await app.Connect(alice);

        await client.SendText("""{"\u0074ype":"\u0070ing","id":"p1","payload":{"\u0074imestamp":7}}""");

        Assert.Equal(7, (await client.ReplyTo("p1"))["timestamp"].GetInt32());
    }

    [Theory]
    [InlineData("1735689600000")]
    [InlineData("-1.5e300")]
    [InlineData("123456789012345678901234567890")]
    [InlineData("\"2026-01-31T09:30:00.000Z\"")]
    [InlineData("\"\u202E and \U0001F642\"")]
    [InlineData("{\"a\":[true,null]}")]
    public async Task A_timestamp_is_echoed_unchanged(string timestamp)
    {
        await using var client = await app.Connect(alice);

        await client.SendText($$"""{"type":"ping","id":"p1","payload":{"timestamp":{{timestamp}} } }""");

        var pong = await client.ReplyTo("p1");
        Assert.Equal("pong", pong.Type);
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(timestamp).RootElement, pong["timestamp"]));
        Assert.Equal(TimeSpan.Zero, pong["serverTime"].GetDateTimeOffset().Offset);
    }

    [Fact]
    public async Task A_ping_without_a_timestamp_gets_the_servers_clock()
    {
        await using var client = await app.Connect(alice);

        foreach (var payload in (string[])["", ",\"payload\":null", ",\"payload\":{}", ",\"payload\":{\"timestamp\":null}"])
        {
            await client.SendText($"{{\"id\":\"{payload.Length}\",\"type\":\"ping\"{payload}}}");
            var pong = await client.ReplyTo($"{payload.Length}");

            Assert.Equal("pong", pong.Type);
            Assert.Equal(pong["serverTime"].GetDateTimeOffset().ToUnixTimeMilliseconds(), pong["timestamp"].GetInt64());
        }
    }

    /// <summary>For every event, an absent or null payload counts as empty, and the error names the missing field.</summary>
    [Fact]
    public async Task Every_event_accepts_an_absent_payload()
    {
        await using var client = await app.Connect(alice);
        foreach (var name in Contracts.Events.FromClients.Except(["ping", "auth"]))
        {
            foreach (var payload in (string[])["", ",\"payload\":null"])
            {
                await client.SendText($"{{\"type\":\"{name}\",\"id\":\"{name}{payload.Length}\"{payload}}}");
                var answer = await client.ReplyTo($"{name}{payload.Length}");
                Assert.Equal(("error", "VALIDATION_ERROR"), (answer.Type, answer["code"].GetString()));
            }
        }
    }

    [Fact]
    public async Task Replies_and_errors_keep_the_order_of_the_events()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var client = await app.Connect(alice);
        var ids = Enumerable.Range(0, 60).Select(i => $"o{i}").ToArray();
        for (var i = 0; i < ids.Length; i++)
        {
            await ((i % 4) switch
            {
                0 => client.Send("message.send", new { conversationId = conversation, content = $"{i}" }, ids[i]),
                1 => client.Send("ping", new { }, ids[i]),
                2 => client.Send("nonsense", new { }, ids[i]),
                _ => client.Send("message.read", new { conversationId = conversation }, ids[i]),
            });
        }

        await client.Settle();

        Assert.Equal(ids, client.Frames.Where(frame => frame.Id is not null).Select(frame => frame.Id).Take(ids.Length));
        Assert.Equal(
            ["message.sent", "pong", "error", "message.read_ack"],
            client.Frames.Where(frame => frame.Id is not null).Select(frame => frame.Type).Take(4));
    }

    [Fact]
    public async Task A_frame_split_across_packets_is_read_as_one()
    {
        await using var client = await app.Connect(alice);
        var bytes = Encoding.UTF8.GetBytes("""{"type":"ping","id":"p1","payload":{"timestamp":"größer 🙂"}}""");

        foreach (var single in bytes[..^1])
            await client.SendBytes([single], endOfMessage: false);
        await client.SendBytes(bytes[^1..]);

        Assert.Equal("größer 🙂", (await client.ReplyTo("p1"))["timestamp"].GetString());
    }

    [Fact]
    public async Task A_frame_of_64_KiB_is_accepted_and_one_more_byte_is_rejected()
    {
        await using var client = await app.Connect(alice);
        const string Start = """{"type":"ping","id":"p1","payload":{"timestamp":" """;
        const string End = "\"}}";

        await client.SendText(Start + new string('x', 65_536 - Start.Length - End.Length) + End);
        Assert.Equal("pong", (await client.ReplyTo("p1")).Type);

        await client.SendText(Start + new string('x', 65_537 - Start.Length - End.Length) + End);
        Assert.Equal(1009, await client.Closed());
    }

    [Fact]
    public async Task A_binary_frame_closes_with_1003()
    {
        await using var client = await app.Connect(alice);

        await client.SendBytes(
            Encoding.UTF8.GetBytes("""{"type":"ping","payload":{}}"""), System.Net.WebSockets.WebSocketMessageType.Binary);

        Assert.Equal(1003, await client.Closed());
    }

    private static void AssertErrorForm(Received error)
    {
        Assert.All(error.Payload.EnumerateObject(), field => Assert.Contains(field.Name, ErrorFields));
        Assert.Equal(JsonValueKind.String, error["message"].ValueKind);
        Assert.Equal(JsonValueKind.False, error["retryable"].ValueKind);
    }
}
