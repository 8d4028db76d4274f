using System.Text.RegularExpressions;
using Chat.Features;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Observing;

/// <summary>The server's metrics match what has happened.</summary>
public sealed partial class MetricsTests
{
    [Fact]
    public async Task Messages_are_counted_once_and_events_by_name_and_outcome()
    {
        await using var app = await ChatApp.Start();
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await atAlice.Settle();
        using var committed = app.Measure<int>("chat.messages.committed");
        using var repeated = app.Measure<int>("chat.messages.repeated");
        using var commits = app.Measure<double>("chat.log.commit.duration");
        using var batches = app.Measure<int>("chat.log.batch.size");
        using var events = app.Measure<double>("chat.event.duration");

        await atAlice.SendMessage(conversation, "one", "t1");
        await atAlice.SendMessage(conversation, "one", "t1");
        await app.SendOverRest(alice, conversation, "two", "t2");
        await atAlice.SendMessage(conversation, "");
        await atAlice.SendMessage(Guid.NewGuid(), "where");
        await atAlice.Ask("nobody.knows", new { });
        await atAlice.SendText("no JSON");
        await atAlice.Settle();
        await atAlice.Settle();

        Assert.Equal((2, 1, 3, 3), (committed.Sum(), repeated.Sum(), batches.Sum(), commits.GetMeasurementSnapshot().Count));
        Assert.Equal(
            ["message.send ok", "message.send ok", "message.send VALIDATION_ERROR", "message.send FORBIDDEN", "unknown UNKNOWN_EVENT",
            "unknown INVALID_MESSAGE", "ping ok"],
            events.GetMeasurementSnapshot().Select(one => $"{one.Tags["event"]} {one.Tags["outcome"]}").Take(7));
        Assert.All(events.GetMeasurementSnapshot(), one => Assert.InRange(one.Value, double.Epsilon, 15));
    }

    [Fact]
    public async Task Connections_are_counted_while_open_and_by_close_reason()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:MaxUnauthenticated"] = "2", ["Limits:AddressShare"] = "100" });
        using var connections = app.Measure<int>("chat.connections");
        using var closed = app.Measure<int>("chat.connections.closed");
        using var refused = app.Measure<int>("chat.handshakes.refused");
        await using var one = await app.Connect(ChatApp.NewUser());
        await using var other = await app.Connect(ChatApp.NewUser());
        await using var silent = await app.Open();

        // The client may see the end of its handshake before the server has the connection.
        await Eventually.Until("all three are there", () => app.Hub().Count == 3);
        connections.RecordObservableInstruments();
        Assert.Equal((2, 1), (connections.Sum("state", "authenticated"), connections.Sum("state", "unauthenticated")));

        await using var second = await app.Open();
        await Assert.ThrowsAsync<InvalidOperationException>(() => app.Open());
        Assert.Equal((1, 1), (refused.Sum(), refused.Sum("reason", "unauthenticated")));
        Assert.True(app.Services.GetRequiredService<Admission>()
            .AcquireHandshakePermit(System.Net.IPAddress.None, hasToken: true, isLast: true) > TimeSpan.Zero);
        Assert.Equal((2, 1), (refused.Sum(), refused.Sum("reason", "files")));

        await one.Leave();
        other.Cut();
        await silent.Send("auth", new { token = "nonsense" });
        Assert.Equal(4501, await silent.Closed());
        await Eventually.Until("three have ended", () => closed.Sum() == 3);
        Assert.Equal((1, 1, 1), (closed.Sum("code", 1000), closed.Sum("code", 1006), closed.Sum("code", 4501)));
    }

    [RedisFact]
    public async Task Connections_missed_changes_and_Redis_outages_are_counted()
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await nodes.One.OpenDirect(alice, bob);
        using var transitions = nodes.One.Measure<int>("chat.presence.transitions");
        using var interruptions = nodes.Two.Measure<int>("chat.redis.interruptions");
        using var repaired = nodes.Two.Measure<int>("chat.delivery.repaired");
        using var health = nodes.Two.Measure<double>("chat.health");
        await using var atBob = await nodes.Two.Connect(bob);
        await using (var atAlice = await nodes.One.Connect(alice))
        {
            await atBob.Next("user.online");
            await atAlice.Leave();
        }

        await atBob.Next("user.offline");
        Assert.Equal((1, 1, 2), (transitions.Sum("to", "online"), transitions.Sum("to", "offline"), transitions.Sum()));

        await redis.Kill();
        await nodes.One.SendOverRest(alice, conversation, "nothing brings this over");
        await atBob.NextMessage();
        // Counted after the push.
        await Eventually.Until("the repair is counted", () => (repaired.Sum("by", "position_check"), repaired.Sum()) == (1, 1));
        Assert.NotEqual(0, interruptions.Sum());
        await Eventually.Until("readiness has noticed", () => health.GetMeasurementSnapshot() is var all
            && all.Any(one => Equals(one.Tags["check"], "redis") && one.Value == 0)
            && all.Last(one => Equals(one.Tags["check"], "postgres")).Value == 1);
    }

    [Fact]
    public async Task The_operations_manual_lists_exactly_the_servers_instruments()
    {
        await using var app = await ChatApp.Start();
        var manual = Manual.Read();

        Assert.Equal(app.Instruments().Select(instrument => instrument.Name).Order(),
            Row().Matches(manual).Select(row => row.Groups[1].Value).Order());
        Assert.All(app.Instruments(), instrument =>
            Assert.False(string.IsNullOrEmpty(instrument.Unit) || string.IsNullOrEmpty(instrument.Description), instrument.Name));
        Assert.True(app.Instruments().Count > 15);
    }

    [GeneratedRegex(@"^\| `(chat\.[a-z_.]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
