using System.Net;
using Chat.Features;
using Chat.Tests.Fixtures;
using StackExchange.Redis;

namespace Chat.Tests.Backplane;

/// <summary>
/// A Redis that answers but rejects writes, because it has become a replica or is full: leases cannot be renewed. That must
/// not show users as offline.
/// </summary>
public sealed class RedisUnwritableTests
{
    /// <summary>Longer than it takes a node to notice, at its next renewal.</summary>
    private static readonly TimeSpan LeaseLeft = PresenceLeases.RenewInterval + TimeSpan.FromSeconds(4);

    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [RedisTheory]
    [InlineData("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY")]
    [InlineData("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM")]
    public async Task During_an_outage_the_last_known_presence_stays_and_readiness_reports_it(string spoil, string mend, string reason)
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString);
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);
        await atAlice.Next("user.online");
        await Eventually.Until("both are there", () => nodes.One.HeldLeases(alice) == 1 && nodes.One.HeldLeases(bob) == 1);

        using var log = LogCapture.Of(nodes.Two);
        var ends = await RunOutSoon(nodes.One);
        await Say(redis, spoil);
        foreach (var node in (ChatApp[])[nodes.One, nodes.Two])
            Assert.Equal(
                $"rejects writes ({reason})", (await node.Ready(HttpStatusCode.ServiceUnavailable)).Text("redis"));
        await Eventually.Until("every lease has run out", () => nodes.One.Leases().RedisTime > ends);
        // New connections now see leases that could not be renewed.
        await using var second = await nodes.Two.Connect(bob);
        var told = await second.Next("status.bulk");
        Assert.True(Assert.Single(told.List("users")).IsOnline());
        Assert.True((await nodes.Two.Presence(bob, alice))[alice.Id].IsOnline());
        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "still here")).Type);
        Assert.Equal("still here", (await atBob.NextMessage()).Text("message.content"));

        // It is not an outage, so nothing else reports it.
        await Eventually.Until(
            "the log says why", () => log.Of<HealthMetrics>().Contains($"Readiness of redis: rejects writes ({reason})"));
        await Say(redis, mend);

        foreach (var node in (ChatApp[])[nodes.One, nodes.Two])
            await node.Ready(HttpStatusCode.OK);
        await Eventually.UntilNoError(async () =>
            (await nodes.One.Presence(alice, bob))[bob.Id].IsOnline() && nodes.Two.HeldLeases(bob) == 2 ? null : "not yet back");
        await nodes.Settle((alice, atAlice), (bob, atBob));
        foreach (var client in (SocketClient[])[atAlice, atBob, second])
            Assert.DoesNotContain(client.Frames, frame => frame.Type == "user.offline");
    }

    // As if each had been renewed a while ago: the next renewal is close.
    private async Task<DateTimeOffset> RunOutSoon(ChatApp node)
    {
        var ends = node.Leases().RedisTime + LeaseLeft;
        foreach (var user in (TestUser[])[alice, bob])
            await node.ExpireLeases(user, ends);
        return ends;
    }

    private static Task<RedisResult> Say(RedisServer redis, string command)
    {
        var words = command.Split(' ');
        return redis.Execute(words[0], [.. words.Skip(1)]);
    }
}
