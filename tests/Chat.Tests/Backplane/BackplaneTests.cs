using System.Text;
using Chat.Features;
using Chat.Socket;
using Chat.Tests.Fixtures;
using StackExchange.Redis;

namespace Chat.Tests.Backplane;

public sealed class BackplaneTests(BackplaneNodes shared) : IClassFixture<BackplaneNodes>
{
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task On_Garnet_a_node_subscribes_with_a_users_first_connection_and_unsubscribes_with_the_last() =>
        await Subscriptions_are_counted(await shared.OnGarnet());

    [RedisFact]
    public async Task On_Redis_a_node_subscribes_with_a_users_first_connection_and_unsubscribes_with_the_last() =>
        await Subscriptions_are_counted(await shared.OnRedis());

    [Fact]
    public async Task Concurrent_connects_and_disconnects_leave_one_subscription_per_connected_user()
    {
        var nodes = await shared.OnGarnet();
        for (var round = 0; round < 5; round++)
        {
            var clients = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => nodes.One.Connect(alice)));
            var leaving = clients[..5].Select(client => client.Leave()).ToArray();
            await using var late = await nodes.One.Connect(alice);
            await Task.WhenAll([.. leaving, clients[5].Leave()]);

            await Eventually.Until("one is left", () => nodes.One.Hub().ConnectionsOf(alice.Id).Count == 1);
            await Eventually.Until("and one subscription", () => Listeners(nodes.One, alice) == 1);
            Publish(nodes.One, alice, Foreign("frame", Marker($"round-{round}")));
            await late.ReplyTo($"round-{round}");
        }

        await Eventually.Until("none is left", () => Listeners(nodes.One, alice) == 0);
    }

    [Fact]
    public async Task A_node_ignores_its_own_publications()
    {
        var nodes = await shared.OnGarnet();
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.One.Connect(bob);

        await atAlice.StartTyping(conversation);
        await atAlice.SendMessage(conversation, "hi");
        string[] types = ["typing.update", "message.new", "conversation.updated", "notification.unread"];
        foreach (var type in types)
            await atBob.Next(type);
        // The channel is ordered: when this has arrived, so have all earlier echoes.
        Publish(nodes.One, bob, Foreign("frame", Marker("behind")));
        await atBob.ReplyTo("behind");

        foreach (var type in types)
            Assert.Single(atBob.Frames, frame => frame.Type == type);
    }

    [Fact]
    public async Task An_unreadable_node_event_does_not_affect_later_ones()
    {
        var nodes = await shared.OnGarnet();
        await using var atAlice = await nodes.One.Connect(alice);
        await atAlice.Settle();
        atAlice.Forget();

        byte[][] unreadable =
        [
            [],
            [1, 2, 3],
            Guid.NewGuid().ToByteArray(),
            [.. Guid.NewGuid().ToByteArray(), 200, 1, 2],
            Foreign("from-a-newer-node", "{}"),
            Foreign("frame", "{"),
            Foreign("frame", "null"),
            Foreign("frame", """{"bytes":"not base 64","droppable":7}"""),
            Foreign("change", "{}"),
            Foreign("change", """{"message":null}"""),
            Foreign("cursor", "[]"),
            Foreign("blocks", "\0"),
        ];
        foreach (var message in unreadable)
            Publish(nodes.One, alice, message);
        Publish(nodes.One, alice, Foreign("frame", Marker("behind")));

        await atAlice.ReplyTo("behind");
        Assert.Single(atAlice.Frames);
    }

    private async Task Subscriptions_are_counted(TwoNodes nodes)
    {
        Assert.Equal(0, Listeners(nodes.One, alice));
        var first = await nodes.One.Connect(alice);
        Assert.Equal(1, Listeners(nodes.One, alice));
        var second = await nodes.One.Connect(alice);
        Assert.Equal(1, Listeners(nodes.One, alice));
        var third = await nodes.Two.Connect(alice);
        Assert.Equal(2, Listeners(nodes.One, alice));

        await first.Leave();
        await Eventually.Until("the first has gone", () => nodes.One.Hub().ConnectionsOf(alice.Id).Count == 1);
        await nodes.Settle((alice, second), (alice, third));
        Assert.Equal(2, Listeners(nodes.One, alice));

        await second.Leave();
        await Eventually.Until("the node with none has unsubscribed", () => Listeners(nodes.One, alice) == 1);
        await third.Leave();
        await Eventually.Until("so has the other", () => Listeners(nodes.One, alice) == 0);
    }

    /// <summary>Returns how many nodes subscribe to a user, according to Redis.</summary>
    internal static long Listeners(ChatApp node, TestUser user)
    {
        var answer = (RedisResult[])node.Redis().Database.Execute("PUBSUB", "NUMSUB", node.Redis().Keys.UserChannel(user.Id))!;
        return (long)answer[1];
    }

    private static void Publish(ChatApp node, TestUser user, byte[] message) =>
        node.Redis().Database.Publish(RedisChannel.Literal(node.Redis().Keys.UserChannel(user.Id)), message);

    /// <summary>Publishes an event as an unrelated node.</summary>
    private static byte[] Foreign(string name, string payload) =>
        [.. Guid.NewGuid().ToByteArray(), (byte)name.Length, .. Encoding.ASCII.GetBytes(name), .. Encoding.UTF8.GetBytes(payload)];

    private static string Marker(string id)
    {
        var frame = Frame.Of(new Pong(System.Text.Json.JsonSerializer.SerializeToElement(1), DateTimeOffset.UtcNow), id);
        return $$"""{"bytes":"{{Convert.ToBase64String(frame.Bytes.Span)}}","droppable":false}""";
    }
}

/// <summary>Two nodes on each kind of Redis.</summary>
public sealed class BackplaneNodes : IAsyncLifetime
{
    private readonly Lazy<Task<TwoNodes>> onGarnet = new(() => TwoNodes.Start());
    private readonly Lazy<Task<TwoNodes>> onRedis = new(async () => await TwoNodes.Start((await RedisServer.Shared()).ConnectionString));

    public Task<TwoNodes> OnGarnet() => onGarnet.Value;

    public Task<TwoNodes> OnRedis() => onRedis.Value;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var started in (Lazy<Task<TwoNodes>>[])[onGarnet, onRedis])
        {
            if (started.IsValueCreated)
                await (await started.Value).DisposeAsync();
        }
    }
}
