using System.Net.WebSockets;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Access;

/// <summary>
/// Every client event times every kind of sender: the reply, and what the other member receives. An event without a row fails,
/// and so does a row without an event.
/// </summary>
public sealed class EventMatrixTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private const string Forbidden = "FORBIDDEN", Unauthorized = "UNAUTHORIZED";

    /// <summary>An event that a member receives because of another member's action.</summary>
    private static readonly string[] Heard =
        ["message.new", "message.read_update", "message.delivered_update", "typing.update", "block.added", "block.removed"];

    private static readonly Dictionary<string, Row> Rows = new()
    {
        ["ping"] = new("{}", Member: new("pong"), Blocked: new("pong"), Stranger: new("pong")),
        ["message.send"] = new(
            """{"conversationId":"<conversation>","content":"third"}""",
            Member: new("message.sent", Reaches: "message.new"),
            Blocked: new("BLOCKED"),
            Stranger: new(Forbidden)),
        ["message.read"] = new(
            """{"conversationId":"<conversation>"}""",
            Member: new("message.read_ack", Reaches: "message.read_update"),
            Blocked: new("message.read_ack"),
            Stranger: new(Forbidden)),
        ["message.delivered"] = new(
            """{"conversationId":"<conversation>","upTo":1}""",
            Member: new(null, Reaches: "message.delivered_update"),
            Blocked: new(null),
            Stranger: new(Forbidden)),
        ["typing.start"] = new(
            """{"conversationId":"<conversation>"}""",
            Member: new(null, Reaches: "typing.update"),
            Blocked: new(null),
            Stranger: new(Forbidden)),
        ["typing.stop"] = new(
            """{"conversationId":"<conversation>"}""",
            Member: new(null),
            Blocked: new(null),
            Stranger: new(Forbidden)),
        ["sync"] = new(
            """{"conversations":{"<conversation>":1}}""",
            Member: new("sync.conversation"),
            Blocked: new("sync.conversation"),
            Stranger: new("sync.done")),
        // The blocked user is not notified.
        ["block.add"] =
            new("""{"userId":"<other>"}""", Member: new("block.added"), Blocked: new("block.added"), Stranger: new("block.added")),
        ["block.remove"] =
            new("""{"userId":"<other>"}""", Member: new("block.removed"), Blocked: new("block.removed"), Stranger: new("block.removed")),
        ["auth"] = new(
            """{"token":"<token>"}""",
            Member: new("auth_success"),
            Blocked: new("auth_success"),
            Stranger: new("auth_success"),
            Anonymous: "auth_failed"),
    };

    public static TheoryData<string, Who> Cells
    {
        get
        {
            var cells = new TheoryData<string, Who>();
            foreach (var type in Rows.Keys)
            {
                foreach (var who in Enum.GetValues<Who>())
                    cells.Add(type, who);
            }

            return cells;
        }
    }

    [Fact]
    public void Every_event_has_a_row() =>
        Assert.Equal(Rows.Keys.Order(), shared.App.Services.GetRequiredService<SocketDispatcher>().Names.Order());

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task Every_caller_gets_the_expected_answer(string type, Who who)
    {
        var cast = await Cast.Gather(shared.App, who);
        await using var other = await shared.App.Connect(cast.Other);
        await other.Settle();
        // The auth event carries its own token.
        await using var caller = await shared.App.Open(bearer: type == "auth" ? null : cast.Token);

        try
        {
            await caller.SendText($$"""{"type":"{{type}}","id":"m1","payload":{{Fill(Rows[type].Payload, cast)}}}""");
        }
        catch (Exception closed) when (who == Who.Expired && closed is ObjectDisposedException or WebSocketException or IOException)
        {
            // The rejection was faster.
        }

        if (who == Who.Expired || (who == Who.Anonymous && type == "auth"))
        {
            // Frames after a rejected token are not read.
            Assert.Equal(4501, await caller.Closed());
            Assert.Equal(["auth_failed"], caller.Frames.Select(frame => frame.Type));
            await HearsNothing(other);
            return;
        }

        var expected = Rows[type].For(who);
        if (expected.Answer is not null)
        {
            var answer = await caller.ReplyTo("m1");
            Assert.Equal(expected.Answer, answer.Type == "error" ? answer.Text("code") : answer.Type);
        }
        else
        {
            await caller.Settle();
            Assert.DoesNotContain(caller.Frames, frame => frame.Id == "m1");
        }

        if (expected.Reaches is { } heard)
            Assert.Equal(heard, (await other.Next(heard)).Type);
        else
            await HearsNothing(other);
    }

    // Events between connections of one node are enqueued before the sender's reply.
    private static async Task HearsNothing(SocketClient other)
    {
        await other.Settle();
        Assert.DoesNotContain(other.Frames, frame => Heard.Contains(frame.Type));
    }

    private static string Fill(string text, Cast cast) => text
        .Replace("<conversation>", $"{cast.Conversation}", StringComparison.Ordinal)
        .Replace("<other>", $"{cast.Other.Id}", StringComparison.Ordinal)
        .Replace("<token>", cast.Token ?? "", StringComparison.Ordinal);

    /// <param name="Answer">The type of the direct reply, or the error code; null for none.</param>
    /// <param name="Reaches">The event that the other member receives; null for none.</param>
    private sealed record Cell(string? Answer, string? Reaches = null);

    /// <summary>An administrator counts as a stranger: the scope grants no access to conversations.</summary>
    private sealed record Row(string Payload, Cell Member, Cell Blocked, Cell Stranger, string Anonymous = Unauthorized)
    {
        public Cell For(Who who) => who switch
        {
            Who.Member => Member,
            Who.Blocked => Blocked,
            Who.Anonymous => new Cell(Anonymous),
            _ => Stranger,
        };
    }
}
