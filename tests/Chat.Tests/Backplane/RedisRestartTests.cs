using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Chat.Backplane;
using Chat.Features;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace Chat.Tests.Backplane;

/// <summary>Redis killed and restarted empty. The nodes' clock stands still unless a test advances it.</summary>
public sealed class RedisRestartTests
{
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();
    private readonly TestUser carol = ChatApp.NewUser();

    [RedisFact]
    public async Task After_a_Redis_restart_all_subscriptions_are_restored()
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString, fakeClock: true);
        var (withBob, withCarol) = (await nodes.One.OpenDirect(alice, bob), await nodes.One.OpenDirect(alice, carol));
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);

        await redis.Kill();
        await using var atCarol = await nodes.Two.Connect(carol);
        // Connects and disconnects without a trace.
        var passing = ChatApp.NewUser();
        await using (var atPassing = await nodes.Two.Connect(passing))
            await atPassing.Leave();
        await redis.StartAgain();

        await Eventually.Until("the node listens for all three",
            () => Restored(nodes) && Listeners(nodes, alice) == 1 && Listeners(nodes, bob) == 1 && Listeners(nodes, carol) == 1);
        await Eventually.Until("and for nobody else", () => Listeners(nodes, passing) == 0);
        // Only pub/sub delivers this to the other node.
        await atAlice.StartTyping(withBob);
        await atAlice.StartTyping(withCarol);
        Assert.True(await atBob.NextTyping());
        Assert.True(await atCarol.NextTyping());
        await nodes.Settle((alice, atAlice), (bob, atBob), (carol, atCarol));
        Assert.Equal(1, atCarol.Frames.Count(frame => frame.Type == "typing.update"));

        await atCarol.Leave();
        await Eventually.Until("and stops when she leaves", () => Listeners(nodes, carol) == 0);
    }

    [RedisFact]
    public async Task Changes_committed_during_a_Redis_outage_are_delivered_from_the_journal()
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString, fakeClock: true);
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);

        await redis.Kill();
        foreach (var text in (string[])["one", "two"])
            Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, text)).Type);
        await atBob.Settle();
        Assert.DoesNotContain(atBob.Frames, frame => frame.Type == "message.new");

        // The first read finds the changes, and the second that they have not arrived.
        for (var read = 0; read < 2; read++)
        {
            nodes.Two.Clock!.Advance(JournalReader.Interval);
            await atBob.Settle();
        }

        Assert.Equal("one", (await atBob.NextMessage()).Text("message.content"));
        Assert.Equal("two", (await atBob.NextMessage()).Text("message.content"));
    }

    [RedisFact]
    public async Task Waiting_for_an_unresponsive_Redis_uses_the_nodes_clock()
    {
        await using var redis = await RedisServer.Start();
        // So that the client library does not time out by its own clock.
        await using var app =
            await ChatApp.Start(new() { ["ConnectionStrings:Redis"] = $"{redis.ConnectionString},asyncTimeout=60000" }, fakeClock: true);
        using var http = app.Http();
        await redis.Execute("CLIENT", "PAUSE", "60000");

        var ready = http.GetAsync("/health/ready");
        var connecting = app.Connect(alice);
        await Eventually.After(RedisConnection.Timeout * 2);
        Assert.False(ready.IsCompleted || connecting.IsCompleted);

        // The steps are awaited one after the other.
        await Eventually.Until("both have been waited for", () =>
        {
            app.Clock!.Advance(RedisConnection.Timeout);
            return ready.IsCompleted && connecting.IsCompleted;
        });
        Assert.Equal("does not answer",
            (await (await ready).Is(HttpStatusCode.ServiceUnavailable)).Text("checks.redis"));
        await using var client = await connecting;
        await redis.Kill();
    }

    [RedisFact]
    public async Task Presence_is_correct_after_a_Redis_restart()
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString);
        foreach (var other in (TestUser[])[bob, carol])
            await nodes.One.OpenDirect(alice, other);
        await using var atAlice = await nodes.One.Connect(alice);
        var atBob = await nodes.Two.Connect(bob);
        await atAlice.Next("user.online");

        await redis.Kill();
        await using var atCarol = await nodes.Two.Connect(carol);
        await atBob.Leave();
        await redis.StartAgain();

        Assert.Equal(carol.Id, (await atAlice.Next("user.online")).Id("userId"));
        Assert.Equal(bob.Id, (await atAlice.Next("user.offline")).Id("userId"));
        var told = await nodes.One.Presence(alice, bob, carol);
        Assert.Equal((false, true), (told[bob.Id].IsOnline(), told[carol.Id].IsOnline()));
        Assert.True((await nodes.Two.Presence(carol, alice))[alice.Id].IsOnline());
        await atCarol.Next("user.online");
        await nodes.Settle((alice, atAlice), (carol, atCarol));
        Assert.Equal(3, atAlice.Frames.Count(frame => frame.Type.StartsWith("user.", StringComparison.Ordinal)));
        // Her status.bulk could not know that alice is online.
        Assert.Equal(
            alice.Id, Assert.Single(atCarol.Frames, frame => frame.Type.StartsWith("user.", StringComparison.Ordinal)).Id("userId"));
        await atBob.DisposeAsync();
    }

    [RedisFact]
    public async Task A_node_starts_without_Redis_and_connects_when_it_is_available()
    {
        await using var redis = await RedisServer.Start();
        await redis.Kill();
        await using var nodes = await TwoNodes.Start($"{redis.ConnectionString},connectTimeout=1000");
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);

        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "hi")).Type);
        Assert.Equal("hi", (await atBob.NextMessage()).Text("message.content"));

        await redis.StartAgain();
        foreach (var client in (SocketClient[])[atAlice, atBob])
            await client.Next("user.online");
        await Eventually.Until("both nodes listen", () => Listeners(nodes, alice) == 1 && Listeners(nodes, bob) == 1);
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
    }

    /// <summary>The part that Redis may take of the four seconds in which a node must be live without it.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(",ssl=true")]
    public async Task Startup_waits_for_an_unresponsive_Redis_only_up_to_its_timeout(string options)
    {
        // Accepts connections and never responds.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var services = new ServiceCollection().AddMetrics().AddLogging().BuildServiceProvider();
        var metrics = new ServerMetrics(services.GetRequiredService<IMeterFactory>());
        var dependencies = new DependencyStates(TimeProvider.System, metrics, NullLogger<DependencyStates>.Instance);
        var settings =
            new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:Redis", $"{silent.LocalEndpoint}{options}")]).Build();
        await using var redis = new RedisConnection(settings, metrics, dependencies);

        var began = Stopwatch.GetTimestamp();
        await redis.StartAsync(CancellationToken.None);

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(3.5));
        Assert.True(dependencies.Redis.IsUnavailable);
    }

    [RedisFact]
    public async Task Presence_is_refreshed_even_if_PostgreSQL_hangs_when_Redis_reconnects()
    {
        await using var redis = await RedisServer.Start();
        await using var node = await ChatApp.Start(new()
        {
            ["ConnectionStrings:Redis"] = redis.ConnectionString,
            ["Logging:LogLevel:Chat.Features.PresenceViews"] = "Debug",
        });
        var logs = LogCapture.Of(node, LogLevel.Debug);
        await node.OpenDirect(alice, bob);
        await using var atAlice = await node.Connect(alice);
        var returns = node.Redis().ReconnectCount;

        await redis.Kill();
        await using (var held = await HeldLock.Begin(node))
        {
            await held.Execute($"lock table {node.Services.GetRequiredService<TableNames>().Member} in access exclusive mode");
            await redis.StartAgain();
            await node.Redis().WaitForReconnectAsync(returns, CancellationToken.None).WaitAsync(Eventually.Timeout);
            // Nothing reports it. The command connection may be restored after the subscription connection.
            await Eventually.UntilNoError(async () => (await Record.ExceptionAsync(() => node.HoldLease(bob)))?.Message);
            await Eventually.Until("the look has failed",
                () => logs.Of<PresenceViews>().Any(line => line.Contains("presence hints", StringComparison.Ordinal)));
            await held.Release();
        }

        Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
    }

    private static bool Restored(TwoNodes nodes) => nodes.One.Redis().IsConnected && nodes.Two.Redis().IsConnected;

    // The client library may have reconnected without marking the connection as usable yet; then nothing can be published.
    private static long? Listeners(TwoNodes nodes, TestUser user)
    {
        try
        {
            return BackplaneTests.Listeners(nodes.One, user);
        }
        catch (Exception failure) when (failure is RedisException or TimeoutException)
        {
            return null;
        }
    }
}
