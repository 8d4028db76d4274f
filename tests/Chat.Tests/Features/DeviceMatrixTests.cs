using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

/// <summary>How the devices of two chatting users are distributed over nodes.</summary>
public enum Devices
{
    /// <summary>One each, on the same node.</summary>
    One,

    /// <summary>Two each: hers on one node, his on the other.</summary>
    TwoOnOneNode,

    /// <summary>Two each, one on each node.</summary>
    TwoOnTwoNodes,
}

/// <summary>
/// Every server event, for every distribution of devices over nodes, on both kinds of Redis: who receives it, who does not,
/// and that none receives it twice. Each case lists all frames on all connections.
/// </summary>
public sealed class DeviceMatrixTests(MatrixNodes nodes) : IClassFixture<MatrixNodes>
{
    private static readonly Dictionary<string, Func<Scene, Task>> Cases = new()
    {
        ["message.send: message.sent, message.new, conversation.updated, notification.unread"] = Send,
        ["message.read: message.read_ack, message.read_update, notification.unread"] = Read,
        ["message.delivered: message.delivered_update"] = Deliver,
        ["block.add: block.added, user.offline"] = Block,
        ["block.remove: block.removed, user.online"] = Unblock,
        ["typing.start: typing.update"] = StartTyping,
        ["typing.stop: typing.update"] = StopTyping,
        ["connect: auth_success, status.bulk, user.online"] = Come,
        ["disconnect: user.offline"] = Go,
    };

    public static TheoryData<string, Devices> All()
    {
        var all = new TheoryData<string, Devices>();
        foreach (var name in Cases.Keys)
        {
            foreach (var devices in Enum.GetValues<Devices>())
                all.Add(name, devices);
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Every_event_reaches_its_recipients_on_Garnet(string events, Devices devices) =>
        await Run(await nodes.OnGarnet(), events, devices);

    [RedisTheory]
    [MemberData(nameof(All))]
    public async Task Every_event_reaches_its_recipients_on_Redis(string events, Devices devices) =>
        await Run(await nodes.OnRedis(), events, devices);

    private static async Task Run(TwoNodes on, string events, Devices devices)
    {
        await using var scene = await Scene.Set(on, devices);
        await Cases[events](scene);
    }

    private static async Task Send(Scene scene)
    {
        var sent = await scene.Alice[0].SendMessage(scene.Conversation, "hi", "t");

        Assert.Equal("message.sent", sent.Type);
        foreach (var device in scene.Alice.Skip(1))
            Assert.Equal("t", (await scene.Expect(device, "message.new", "conversation.updated")).Text("message.tempId"));
        foreach (var device in scene.Bob)
        {
            var arrived = await scene.Expect(device, "message.new", "conversation.updated", "notification.unread");
            Assert.Equal(sent.Id("message.id"), arrived.Id("message.id"));
            Assert.False(arrived["message"].Has("tempId"));
        }

        await scene.Expect(scene.Alice[0], "message.sent", "conversation.updated");
        await scene.Ends();
    }

    private static async Task Read(Scene scene)
    {
        await Send(scene);
        scene.Forget();

        var read = await scene.Bob[0].Ask("message.read", new { conversationId = scene.Conversation });

        Assert.Equal((1, 0L), (read.Number("markedCount"), read.Number("totalUnread")));
        await scene.Expect(scene.Bob[0], "message.read_ack");
        foreach (var device in scene.Bob.Skip(1))
            Assert.Equal(0, (await scene.Expect(device, "notification.unread")).Number("totalUnread"));
        foreach (var device in scene.Alice)
            Assert.Equal(scene.BobUser.Id, (await scene.Expect(device, "message.read_update")).Id("readBy"));
        await scene.Ends();
    }

    private static async Task Deliver(Scene scene)
    {
        await Send(scene);
        scene.Forget();

        await scene.Bob[0].Send("message.delivered", new { conversationId = scene.Conversation, upTo = 1 });

        foreach (var device in scene.Alice)
            Assert.Equal(scene.BobUser.Id, (await scene.Expect(device, "message.delivered_update")).Id("userId"));
        await scene.Ends();
    }

    private static async Task Block(Scene scene)
    {
        await scene.Alice[0].Block(scene.BobUser);

        foreach (var device in scene.Alice)
            Assert.Equal(scene.BobUser.Id, (await scene.Expect(device, "block.added", "user.offline")).Id("userId"));
        // What he would see if she had disconnected; nothing reveals the block.
        foreach (var device in scene.Bob)
            Assert.Equal(scene.AliceUser.Id, (await scene.Expect(device, "user.offline")).Id("userId"));
        await scene.Ends();
    }

    private static async Task Unblock(Scene scene)
    {
        await Block(scene);
        scene.Forget();

        await scene.Alice[0].Unblock(scene.BobUser);

        foreach (var device in scene.Alice)
            Assert.Equal(scene.BobUser.Id, (await scene.Expect(device, "block.removed", "user.online")).Id("userId"));
        foreach (var device in scene.Bob)
            Assert.Equal(scene.AliceUser.Id, (await scene.Expect(device, "user.online")).Id("userId"));
        await scene.Ends();
    }

    private static async Task StartTyping(Scene scene)
    {
        await scene.Alice[0].StartTyping(scene.Conversation);

        foreach (var device in scene.Bob)
            Assert.True((await scene.Expect(device, "typing.update")).Flag("typing"));
        await scene.Ends();
    }

    private static async Task StopTyping(Scene scene)
    {
        await StartTyping(scene);
        scene.Forget();

        await scene.Alice[0].StopTyping(scene.Conversation);
        scene.PassTypingPause();

        foreach (var device in scene.Bob)
            Assert.False((await scene.Expect(device, "typing.update")).Flag("typing"));
        await scene.Ends();
    }

    private static async Task Come(Scene scene)
    {
        await Go(scene);
        scene.Forget();

        await scene.AliceComes();

        foreach (var device in scene.Alice)
        {
            var bulk = await scene.Expect(device, "status.bulk", "auth_success");
            var online =
                bulk.List("users").ToDictionary(status => status.Id("userId"), status => status.IsOnline());
            Assert.True(online[scene.BobUser.Id]);
            Assert.False(online[scene.Blocked.Id]);
            Assert.False(online.ContainsKey(scene.Stranger.Id));
        }

        foreach (var device in scene.Bob)
            Assert.Equal(scene.AliceUser.Id, (await scene.Expect(device, "user.online")).Id("userId"));
        await scene.Expect(scene.Witness, "user.online");
        await scene.Ends();
    }

    private static async Task Go(Scene scene)
    {
        await scene.AliceGoes();

        foreach (var device in scene.Bob)
            Assert.Equal(scene.AliceUser.Id, (await scene.Expect(device, "user.offline")).Id("userId"));
        await scene.Expect(scene.Witness, "user.offline");
        await scene.Ends();
    }
}

/// <summary>Two nodes on each kind of Redis, started by the first case that needs them. Their clock stands still.</summary>
public sealed class MatrixNodes : IAsyncLifetime
{
    private readonly Lazy<Task<TwoNodes>> onGarnet = new(() => TwoNodes.Start(fakeClock: true));
    private readonly Lazy<Task<TwoNodes>> onRedis =
        new(async () => await TwoNodes.Start((await RedisServer.Shared()).ConnectionString, fakeClock: true));

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

/// <summary>
/// Alice and Bob, who chat; Dave, whom Alice has blocked; Carol, who has no contacts; and Wendy, a contact of all but Carol, who
/// shows that presence has settled. All of them are online.
/// </summary>
internal sealed class Scene : IAsyncDisposable
{
    private readonly TwoNodes nodes;
    private readonly Devices devices;
    private readonly Dictionary<SocketClient, string[]> expected = [];
    private SocketClient dave = null!;
    private SocketClient carol = null!;

    private Scene(TwoNodes nodes, Devices devices) => (this.nodes, this.devices) = (nodes, devices);

    public TestUser AliceUser { get; } = ChatApp.NewUser();

    public TestUser BobUser { get; } = ChatApp.NewUser();

    public TestUser Blocked { get; } = ChatApp.NewUser();

    public TestUser Stranger { get; } = ChatApp.NewUser();

    public TestUser WitnessUser { get; } = ChatApp.NewUser();

    public SocketClient[] Alice { get; private set; } = [];

    public SocketClient[] Bob { get; private set; } = [];

    public SocketClient Witness { get; private set; } = null!;

    public Guid Conversation { get; private set; }

    public static async Task<Scene> Set(TwoNodes nodes, Devices devices)
    {
        var scene = new Scene(nodes, devices);
        await scene.Set();
        return scene;
    }

    /// <summary>Awaits exactly these frames on a connection and returns the first.</summary>
    public async Task<Received> Expect(SocketClient client, params string[] types)
    {
        expected[client] = types;
        Received? first = null;
        foreach (var type in types)
        {
            var frame = client.Frames.FirstOrDefault(come => come.Type == type) ?? await client.Next(type);
            first ??= frame;
        }

        return first!;
    }

    /// <summary>Asserts that only expected frames have arrived.</summary>
    public async Task Ends()
    {
        await nodes.Settle(All);
        foreach (var (user, client) in All)
        {
            var come = client.Frames.Select(frame => frame.Type).Where(type => type != "pong").Order(StringComparer.Ordinal);
            Assert.Equal($"{NameOf(client)}: {string.Join(", ", expected.GetValueOrDefault(client, []).Order(StringComparer.Ordinal))}",
                $"{NameOf(client)}: {string.Join(", ", come)}");
        }
    }

    public void Forget()
    {
        expected.Clear();
        foreach (var (_, client) in All)
            client.Forget();
    }

    public async Task AliceComes()
    {
        Alice = await Connect(AliceUser, hers: true);
        await Witness.Next("user.online");
    }

    public async Task AliceGoes()
    {
        foreach (var device in Alice)
            await device.Leave();
        await Witness.Next("user.offline");
        foreach (var device in Alice)
            await device.DisposeAsync();
        Alice = [];
    }

    /// <summary>Advances the clock past the minimum interval of typing updates.</summary>
    public void PassTypingPause() => nodes.One.Clock!.Advance(TimeSpan.FromSeconds(2.5));

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, client) in All)
            await client.DisposeAsync();
    }

    private IEnumerable<(TestUser User, SocketClient Client)> All =>
        [.. Alice.Select(device => (AliceUser, device)), .. Bob.Select(device => (BobUser, device)), (Blocked, dave), (Stranger, carol),
            (WitnessUser, Witness)];

    private string NameOf(SocketClient client) =>
        client == dave ? "Dave" : client == carol ? "Carol" : client == Witness ? "Wendy" : Alice.Contains(client) ? "Alice" : "Bob";

    private async Task Set()
    {
        Conversation = await nodes.One.OpenDirect(AliceUser, BobUser);
        await nodes.One.OpenDirect(AliceUser, Blocked);
        (await nodes.One.Http(AliceUser).PutAsync($"/chat/blocks/{Blocked.Id}", null)).EnsureSuccessStatusCode();
        foreach (var known in (TestUser[])[AliceUser, BobUser, Blocked])
            await nodes.One.OpenDirect(WitnessUser, known);

        Witness = await nodes.One.Connect(WitnessUser);
        carol = await nodes.Two.Connect(Stranger);
        dave = await nodes.Two.Connect(Blocked);
        Assert.Equal(Blocked.Id, (await Witness.Next("user.online")).Id("userId"));
        await AliceComes();
        Bob = await Connect(BobUser, hers: false);
        Assert.Equal(BobUser.Id, (await Witness.Next("user.online")).Id("userId"));
        foreach (var device in Alice)
            await device.Next("user.online");
        await Eventually.Until("all devices hold a lease",
            () => nodes.One.HeldLeases(AliceUser) == Alice.Length && nodes.One.HeldLeases(BobUser) == Bob.Length);
        await nodes.Settle(All);
        Forget();
    }

    private async Task<SocketClient[]> Connect(TestUser user, bool hers) => devices switch
    {
        Devices.One => [await nodes.One.Connect(user)],
        Devices.TwoOnOneNode => [await (hers ? nodes.One : nodes.Two).Connect(user), await (hers ? nodes.One : nodes.Two).Connect(user)],
        _ => [await nodes.One.Connect(user), await nodes.Two.Connect(user)],
    };
}
