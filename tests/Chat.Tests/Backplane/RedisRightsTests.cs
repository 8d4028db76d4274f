using System.Net;
using Chat.Backplane;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Backplane;

/// <summary>A Redis whose ACL first lacks a permission that the server needs, and then grants it, without closing a connection.</summary>
public sealed class RedisRightsTests
{
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [RedisFact]
    public async Task A_rejected_subscription_is_reported_and_restored_once_it_is_granted()
    {
        await using var redis = await RedisServer.Start();
        await redis.Execute("ACL", "SETUSER", "chat", "on", ">secret", "~*", "&*", "+@all");
        await using var nodes = await TwoNodes.Start($"{redis.ConnectionString},user=chat,password=secret");
        var logs = LogCapture.Of(nodes.Two);
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await nodes.Two.Ready(HttpStatusCode.OK);

        await redis.Execute("ACL", "SETUSER", "chat", "-subscribe");
        await using var atBob = await nodes.Two.Connect(bob);
        Assert.Equal(0, BackplaneTests.Listeners(nodes.Two, bob));
        Assert.Equal(
            "Redis rejects subscriptions", (await nodes.Two.Ready(HttpStatusCode.ServiceUnavailable)).Text("pubsub"));
        await atAlice.SendMessage(conversation, "late");
        Assert.Equal("late", (await atBob.NextMessage()).Text("message.content"));

        await redis.Execute("ACL", "SETUSER", "chat", "+subscribe");
        await Eventually.Until("the node listens", () => BackplaneTests.Listeners(nodes.Two, bob) == 1);
        await nodes.Two.Ready(HttpStatusCode.OK);
        // Only Redis delivers this.
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
        Assert.Equal((0, 0), (nodes.One.Redis().ReconnectCount, nodes.Two.Redis().ReconnectCount));
        // One line for each change of state.
        Assert.Collection(
            logs.Of<RedisSubscriptions>(),
            line => Assert.StartsWith("Redis refuses 1 of", line, StringComparison.Ordinal),
            line => Assert.StartsWith("Redis has granted all", line, StringComparison.Ordinal));
    }

    [RedisFact]
    public async Task A_node_without_any_subscription_right_becomes_ready_once_it_is_granted()
    {
        await using var redis = await RedisServer.Start();
        await redis.Execute("ACL", "SETUSER", "chat", "on", ">secret", "~*", "resetchannels", "+@all");
        await using var nodes = await TwoNodes.Start($"{redis.ConnectionString},user=chat,password=secret");
        await nodes.One.Ready(HttpStatusCode.ServiceUnavailable);
        await nodes.Two.Ready(HttpStatusCode.ServiceUnavailable);

        await redis.Execute("ACL", "SETUSER", "chat", "&*");

        await nodes.One.Ready(HttpStatusCode.OK);
        await nodes.Two.Ready(HttpStatusCode.OK);
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
        Assert.Equal((0, 0), (nodes.One.Redis().ReconnectCount, nodes.Two.Redis().ReconnectCount));
    }
}
