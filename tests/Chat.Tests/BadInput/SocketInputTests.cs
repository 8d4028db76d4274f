using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.BadInput;

/// <summary>Two users, a conversation with one message, and a connection, shared by the tests of a class.</summary>
public sealed class Scene : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public TestUser Alice { get; } = ChatApp.NewUser();

    public TestUser Bob { get; } = ChatApp.NewUser();

    public Guid Conversation { get; private set; }

    public async Task InitializeAsync()
    {
        App = await ChatApp.Start();
        await using var client = await App.Connect(Alice);
        await using var other = await App.Connect(Bob);
        Conversation = await App.OpenDirect(Alice, Bob);
        await other.SendMessage(Conversation, "first");
    }

    public async Task DisposeAsync() => await App.DisposeAsync();
}

/// <summary>
/// Every field of every client event times every invalid value: the reply is the one that the protocol specifies, never
/// INTERNAL_ERROR; exactly what is acknowledged is stored, unchanged; and the connection stays open or is closed with the
/// specified code.
/// </summary>
public sealed class SocketInputTests(Scene scene) : IClassFixture<Scene>
{
    private const string Invalid = "INVALID_MESSAGE", Validation = "VALIDATION_ERROR";

    // Each event with valid fields; strings in angle brackets are placeholders.
    private static readonly Dictionary<string, Dictionary<string, string>> Events = new()
    {
        ["ping"] = new() { ["timestamp"] = "1" },
        ["message.send"] = new()
        {
            ["conversationId"] = "\"<conversation>\"",
            ["content"] = "\"hello\"",
            ["tempId"] = "\"<new>\"",
            ["type"] = "\"text\"",
            ["replyTo"] = "null",
            ["attachments"] = "null",
        },
        ["message.read"] = new() { ["conversationId"] = "\"<conversation>\"", ["upTo"] = "1" },
        ["message.delivered"] = new() { ["conversationId"] = "\"<conversation>\"", ["upTo"] = "1" },
        ["block.add"] = new() { ["userId"] = "\"<new>\"", ["username"] = "null" },
        ["block.remove"] = new() { ["userId"] = "\"<new>\"", ["username"] = "null" },
        ["auth"] = new() { ["token"] = "\"<token>\"" },
    };

    private readonly ChatApp app = scene.App;

    public static TheoryData<string, string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string, string>();
            foreach (var (type, fields) in Events)
            {
                foreach (var name in fields.Keys)
                {
                    foreach (var poison in Poison.All.Keys)
                        cases.Add(type, name, poison);
                }
            }

            return cases;
        }
    }

    public static TheoryData<string, string> EnvelopeCases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var name in (string[])["type", "id", "payload"])
            {
                foreach (var poison in Poison.All.Keys)
                    cases.Add(name, poison);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task An_invalid_field(string type, string field, string poisonName)
    {
        var poison = Poison.All[poisonName];
        // A username must be the only field; the rest of the event is valid.
        var fields = Events[type].Where(other => !(field == "username" && other.Key == "userId"))
            .ToDictionary(other => other.Key, other => Fill(other.Value));
        var before = await app.History(scene.Alice, scene.Conversation);
        await using var client = await app.Connect(scene.Alice);

        await client.SendBytes([
            .. Poison.Json($$"""{"type":"{{type}}","id":"b1","payload":"""),
            .. poison.In(fields, field),
            (byte)'}']);

        if (CloseFor(poison) is { } code)
        {
            Assert.Equal(code, await client.Closed());
            Assert.DoesNotContain(client.Frames, frame => frame.Id is not null);
        }
        else
        {
            await AssertAnswer(client, type, field, poison);
        }

        await AssertStored(client, before);
    }

    [Theory]
    [MemberData(nameof(EnvelopeCases))]
    public async Task An_invalid_envelope(string field, string poisonName)
    {
        var poison = Poison.All[poisonName];
        var before = await app.History(scene.Alice, scene.Conversation);
        await using var client = await app.Connect(scene.Alice);

        await client.SendBytes(poison.In(
            new Dictionary<string, string>
            {
                ["type"] = "\"message.send\"",
                ["id"] = "\"b1\"",
                ["payload"] = Fill("""{"conversationId":"<conversation>","content":"hello"}"""),
            },
            field));

        if (CloseFor(poison) is { } code)
        {
            Assert.Equal(code, await client.Closed());
        }
        else
        {
            await client.Settle();
            var isText = poison.Harm is Harm.Nul or Harm.Long or Harm.Blank or Harm.Strange;
            var expected = (field, poison.Harm) switch
            {
                ("type", _) when isText => "UNKNOWN_EVENT",
                ("id", _) when isText || poison.Name == "missing" => null,
                // An empty object is a valid payload; missing fields are another error.
                ("payload", Harm.WrongType) when poison.Name.StartsWith("an object", StringComparison.Ordinal) => Validation,
                // An absent payload counts as empty.
                ("payload", Harm.Absent) => Validation,
                _ => Invalid,
            };
            var errors = client.Frames.Where(frame => frame.Type == "error").Select(frame => frame.Text("code"));
            Assert.Equal(expected is null ? [] : [expected], errors);
        }

        await AssertStored(client, before);
    }

    private async Task AssertAnswer(SocketClient client, string type, string field, Poison poison)
    {
        var expected = Expected(type, field, poison);
        if (expected == "TOKEN_INVALID")
        {
            Assert.Equal(expected, (await client.ReplyTo("b1")).Text("code"));
            Assert.Equal(4501, await client.Closed());
            return;
        }

        await client.Settle();
        var answer = client.Frames.SingleOrDefault(frame => frame.Id == "b1" || frame.Type == "error");
        var shown = answer?.Type == "error" ? answer.Text("code") : answer?.Type;
        Assert.Equal(expected, shown);
        if (expected == Validation)
        {
            Assert.Equal("b1", answer!.Id);
            // With duplicate or unreadable names the reader cannot always locate the id.
            var named = answer.Payload.TryGetProperty("field", out var name) ? name.GetString() : null;
            if (poison.Harm != Harm.Twice && !poison.Name.StartsWith("an object with", StringComparison.Ordinal))
                Assert.Equal(
                    (type, field, poison.Harm) is ("block.add" or "block.remove", "username", Harm.Absent) ? "userId" : field, named);
        }
    }

    private static int? CloseFor(Poison poison) => poison.Harm switch
    {
        Harm.NotUtf8 => 1007,
        Harm.TooBig => 1009,
        _ => null,
    };

    /// <summary>Returns the expected reply type or error code; null for none.</summary>
    private static string? Expected(string type, string field, Poison poison)
    {
        if (poison.Harm == Harm.TooDeep)
            return Invalid;
        if (poison.Harm == Harm.Twice)
            return Validation;
        return (type, field) switch
        {
            // Any value is echoed.
            ("ping", _) =>
                poison.Harm == Harm.NoText || poison.Name.StartsWith("an object with", StringComparison.Ordinal) ? Validation : "pong",

            ("message.send", "content") => poison.Harm == Harm.Strange ? "message.sent" : Validation,
            ("message.send", "tempId") => poison.Harm is Harm.Strange or Harm.Absent || poison.Name is "empty" or "blanks of many kinds"
                ? "message.sent" : Validation,
            ("message.send", "type" or "replyTo" or "attachments") => poison.Harm == Harm.Absent ? "message.sent" : Validation,

            ("message.read", "upTo") => poison.Harm == Harm.Absent ? "message.read_ack" : Validation,
            (_, "upTo") => Validation,

            ("block.add" or "block.remove", "username") => poison.Harm switch
            {
                Harm.Strange or Harm.Long or Harm.Nul => "NOT_FOUND",
                _ => Validation,
            },

            ("auth", _) => poison.Harm is Harm.NoText or Harm.WrongType or Harm.Number ? Validation : "TOKEN_INVALID",

            _ => Validation,
        };
    }

    /// <summary>Asserts that the history contains exactly what was acknowledged, unchanged.</summary>
    private async Task AssertStored(SocketClient client, IReadOnlyList<System.Text.Json.JsonElement> before)
    {
        var acknowledged = client.Frames.Where(frame => frame.Type == "message.sent").Select(frame => frame["message"].GetRawText());
        var after = await app.History(scene.Alice, scene.Conversation);
        Assert.Equal(acknowledged, after.Skip(before.Count).Select(message => message.GetRawText()));
        Assert.DoesNotContain(
            client.Frames, frame => frame.Type == "error" && frame.Text("code") is "INTERNAL_ERROR" or "UNAVAILABLE");
    }

    private string Fill(string text) => text
        .Replace("<conversation>", scene.Conversation.ToString(), StringComparison.Ordinal)
        .Replace("<new>", Guid.NewGuid().ToString(), StringComparison.Ordinal)
        .Replace("<token>", app.TokenFor(scene.Alice), StringComparison.Ordinal);
}
