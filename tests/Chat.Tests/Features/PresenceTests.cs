using System.Net;
using Chat.Backplane;
using Chat.Features;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class PresenceTests(PresenceNodes shared) : IClassFixture<PresenceNodes>
{
    private readonly TwoNodes nodes = shared.Nodes;
    private readonly ChatApp app = shared.Nodes.One;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Presence_changes_are_sent_once_to_contacts()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        Assert.False((await atAlice.Next("status.bulk"))["users"][0].IsOnline());
        await Eventually.Until("she has her lease", () => app.HeldLeases(alice) == 1);

        var atBob = await app.Connect(bob);
        Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
        Assert.True((await atBob.Next("status.bulk"))["users"][0].IsOnline());
        await atBob.Leave();

        Assert.Equal(bob.Id, (await atAlice.Next("user.offline")).Id("userId"));
        Assert.Equal(2, Changes(atAlice));
    }

    [Fact]
    public async Task A_new_conversation_makes_connected_users_see_each_others_presence()
    {
        await using var atAlice = await app.Connect(alice);
        var atBob = await nodes.Two.Connect(bob);
        await atBob.Next("status.bulk");
        await app.OpenDirect(alice, bob);
        Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
        Assert.Equal(alice.Id, (await atBob.Next("user.online")).Id("userId"));

        await atBob.Leave();
        Assert.Equal(bob.Id, (await atAlice.Next("user.offline")).Id("userId"));
        Assert.Equal(2, Changes(atAlice));
    }

    [Fact]
    public async Task Several_devices_on_several_nodes_are_one_online_user()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        SocketClient[] devices = [await nodes.One.Connect(bob), await nodes.Two.Connect(bob), await nodes.Two.Connect(bob)];
        await atAlice.Next("user.online");
        await Eventually.Until("all have their lease", () => app.HeldLeases(bob) == 3);

        foreach (var device in devices[..^1])
            await device.Leave();
        await Eventually.Until("two have given it back", () => app.HeldLeases(bob) == 1);
        await nodes.Settle((alice, atAlice));
        Assert.Equal(1, Changes(atAlice));

        await devices[^1].Leave();
        await atAlice.Next("user.offline");
        await nodes.Settle((alice, atAlice));
        Assert.Equal(2, Changes(atAlice));
    }

    [Fact]
    public async Task Reconnecting_to_another_node_ends_as_online_in_any_order_of_events()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        var atBob = await nodes.One.Connect(bob);
        await atAlice.Next("user.online");
        for (var i = 0; i < 10; i++)
        {
            var (before, node) = (atBob, i % 2 == 0 ? nodes.Two : nodes.One);
            var leaving = before.Leave();
            atBob = await node.Connect(bob);
            await leaving;
        }

        await Eventually.Until("one lease is left", () => app.HeldLeases(bob) == 1);
        // After all announcements: another user's arrival, published by each node.
        foreach (var node in (ChatApp[])[nodes.One, nodes.Two])
        {
            var last = ChatApp.NewUser();
            await app.OpenDirect(alice, last);
            await using var atLast = await node.Connect(last);
            while ((await atAlice.Next("user.online")).Id("userId") != last.Id)
            {
            }
        }

        await nodes.Settle((alice, atAlice));
        Assert.Equal("user.online", atAlice.Frames.Last(frame => IsChange(frame) && frame.Id("userId") == bob.Id).Type);
        await atBob.DisposeAsync();
    }

    [Fact]
    public async Task Users_of_a_killed_node_go_offline_once_and_their_last_seen_is_stored()
    {
        await app.OpenDirect(alice, bob);
        var before = DateTimeOffset.UtcNow;
        await app.HoldLease(bob);
        await using var atAlice = await app.Connect(alice);
        await using var alsoAlice = await nodes.Two.Connect(alice);
        Assert.True((await app.Presence(alice, bob))[bob.Id].IsOnline());

        // Both nodes sweep.
        await app.ExpireLeases(bob);

        foreach (var client in (SocketClient[])[atAlice, alsoAlice])
            Assert.Equal(bob.Id, (await client.Next("user.offline")).Id("userId"));
        var status = (await app.Presence(alice, bob))[bob.Id];
        Assert.False(status.IsOnline());
        Assert.InRange(status.Time("lastSeenAt"), before.AddSeconds(-60), DateTimeOffset.UtcNow);
        await nodes.Settle((alice, atAlice), (alice, alsoAlice));
        Assert.Equal((1, 1), (Changes(atAlice), Changes(alsoAlice)));
    }

    [Fact]
    public async Task A_user_declared_offline_during_a_partition_is_announced_online_again()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);
        await atAlice.Next("user.online");

        // Their leases expire, a node claims them, and with its next renewal the node that has Bob announces him. If it renews them
        // before they are claimed, they expire once more.
        var offline = atAlice.Next("user.offline");
        await Eventually.UntilNoError(
            async () =>
            {
                if (!offline.IsCompleted && app.HeldLeases(bob) > 0)
                    await app.ExpireLeases(bob);
                return offline.IsCompleted ? null : "Bob is not told gone.";
            });
        await offline;

        Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
        Assert.True((await app.Presence(alice, bob))[bob.Id].IsOnline());
    }

    [Fact]
    public async Task Leases_lost_by_Redis_are_restored_within_fifteen_seconds_without_notifications()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await shared.Come(nodes.One, alice);
        await using var atBob = await shared.Come(nodes.Two, bob);
        await atAlice.Next("user.online");
        var leaver = ChatApp.NewUser();
        await app.OpenDirect(alice, leaver);
        var atLeaver = await nodes.Two.Connect(leaver);
        await atAlice.Next("user.online");

        await app.LoseLeases(alice, bob, leaver);
        // A disconnect before the leases are restored counts all the same.
        await atLeaver.Leave();
        await Eventually.Until("the leases are back", () => app.HeldLeases(alice) == 1 && app.HeldLeases(bob) == 1);
        // With the next renewal, whose duration depends on the machine.
        Assert.InRange(PresenceLeases.RenewInterval, TimeSpan.Zero, TimeSpan.FromSeconds(13));

        Assert.Equal(leaver.Id, (await atAlice.Next("user.offline")).Id("userId"));
        await nodes.Settle((alice, atAlice), (bob, atBob));
        Assert.True((await app.Presence(alice, bob))[bob.Id].IsOnline());
        Assert.Equal((3, 0), (Changes(atAlice), Changes(atBob)));
    }

    [Fact]
    public async Task Last_seen_survives_the_nodes()
    {
        var first = await ChatApp.Start();
        var other = await first.StartNode();
        await first.OpenDirect(alice, bob);
        var before = DateTimeOffset.UtcNow;
        var atBob = await first.Connect(bob);
        // A connection that opened and closed before that is a no-op.
        await Eventually.Until("he has his lease", () => other.HeldLeases(bob) == 1);
        // A shutdown releases every lease and announces it.
        await first.DisposeAsync();

        await using (other)
        {
            var status = (await other.Presence(alice, bob))[bob.Id];
            Assert.False(status.IsOnline());
            Assert.InRange(status.Time("lastSeenAt"), before.AddMilliseconds(-1), DateTimeOffset.UtcNow);
            await using var atAlice = await other.Connect(alice);
            Assert.Equal(status.GetRawText(), (await atAlice.Next("status.bulk"))["users"][0].GetRawText());
        }

        await atBob.DisposeAsync();
    }

    [Fact]
    public async Task A_block_hides_presence_both_ways_and_removing_it_restores_presence()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await shared.Come(nodes.One, alice);
        await using var atBob = await shared.Come(nodes.Two, bob);
        await atAlice.Next("user.online");

        await atAlice.Block(bob);
        Assert.Equal(bob.Id, (await atAlice.Next("user.offline")).Id("userId"));
        Assert.Equal(alice.Id, (await atBob.Next("user.offline")).Id("userId"));
        // Nothing changes any more: duplicates, reversed roles, and half of it undone.
        await atAlice.Block(bob);
        await atBob.Block(alice);
        await atAlice.Unblock(bob);
        await nodes.Settle((alice, atAlice), (bob, atBob));
        Assert.Equal((2, 1), (Changes(atAlice), Changes(atBob)));

        await atBob.Unblock(alice);
        Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
        Assert.Equal(alice.Id, (await atBob.Next("user.online")).Id("userId"));
    }

    [Fact]
    public async Task A_user_who_disconnects_just_before_a_block_is_offline_for_the_other()
    {
        await app.OpenDirect(alice, bob);
        await using var atAlice = await shared.Come(nodes.One, alice);
        // A fast disconnect races a block: neither may rely on the other to send the update.
        for (var i = 1; i <= 10; i++)
        {
            var atBob = await nodes.Two.Connect(bob);
            Assert.Equal(bob.Id, (await atAlice.Next("user.online")).Id("userId"));
            var leaving = atBob.Leave();
            Assert.Equal("block.added", (await atAlice.Block(bob)).Type);
            await leaving;

            Assert.Equal(bob.Id, (await atAlice.Next("user.offline")).Id("userId"));
            await Eventually.Until("his lease is given back", () => app.HeldLeases(bob) == 0);
            Assert.Equal("block.removed", (await atAlice.Unblock(bob)).Type);
            await nodes.Settle((alice, atAlice));
            Assert.Equal(2 * i, Changes(atAlice));
        }
    }

    [Fact]
    public async Task A_user_who_went_offline_at_the_block_stays_visible_as_offline()
    {
        await app.OpenDirect(alice, bob);
        var atAlice = await nodes.One.Connect(alice);
        var atBob = await nodes.Two.Connect(bob);
        await atAlice.Next("user.online");
        var blockedAt = (await atAlice.Block(bob)).Time("blockedAt");
        await atBob.Next("user.offline");
        await atBob.Leave();

        foreach (var isThere in (bool[])[true, false])
        {
            if (!isThere)
            {
                await atAlice.Leave();
                await Eventually.Until("she is gone", () => app.HeldLeases(alice) == 0);
            }

            await using var again = await nodes.Two.Connect(bob);
            var shown = (await again.Next("status.bulk"))["users"][0];
            Assert.Equal((false, blockedAt), (shown.IsOnline(), shown.Time("lastSeenAt")));
            Assert.Equal(shown.GetRawText(), (await app.Presence(bob, alice))[alice.Id].GetRawText());
            await nodes.Settle((bob, again));
            Assert.Equal(0, Changes(again));
        }
    }

    [Fact]
    public async Task Presence_over_REST_omits_strangers()
    {
        var stranger = ChatApp.NewUser();
        await app.OpenDirect(alice, bob);
        await using var atBob = await nodes.Two.Connect(bob);
        await using var atStranger = await nodes.Two.Connect(stranger);
        await Eventually.Until("both are there", () => app.HeldLeases(bob) == 1 && app.HeldLeases(stranger) == 1);

        var told = await app.Presence(alice, bob, stranger, alice, ChatApp.NewUser());

        Assert.Equal(bob.Id, Assert.Single(told).Key);
        Assert.True(told[bob.Id].IsOnline());
        Assert.Empty(await app.Presence(stranger, alice, bob));
    }

    [Theory]
    [InlineData("")]
    [InlineData("?userIds=")]
    [InlineData("?userIds=,,")]
    [InlineData("?userIds=bob")]
    [InlineData("?userIds=00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000")]
    public async Task Presence_over_REST_rejects_an_invalid_list_of_ids(string query)
    {
        var answer = await app.Http(alice).GetAsync($"/chat/presence{query}");

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("VALIDATION_ERROR", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Presence_over_REST_accepts_two_hundred_ids_and_requires_a_token()
    {
        var many = Enumerable.Range(0, 200).Select(_ => ChatApp.NewUser()).ToArray();
        Assert.Empty(await app.Presence(alice, many));
        var tooMany = string.Join(',', many.Append(bob).Select(user => user.Id));
        Assert.Equal(HttpStatusCode.BadRequest, (await app.Http(alice).GetAsync($"/chat/presence?userIds={tooMany}")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http().GetAsync($"/chat/presence?userIds={bob.Id}")).StatusCode);
    }

    [Fact]
    public async Task Concurrent_acquisitions_and_releases_yield_each_transition_exactly_once()
    {
        var leases = nodes.One.Leases();
        var others = nodes.Two.Leases();
        for (var round = 0; round < 20; round++)
        {
            var connections = Enumerable.Range(0, 16).Select(_ => Guid.NewGuid()).ToArray();
            var user = Guid.NewGuid();

            var came = await Task.WhenAll(connections.Select((id, i) => Task.Run(() => (i % 2 == 0 ? leases : others).AddAsync(user, id))));
            Assert.Equal(1, came.Count(transition => transition == Transition.CameOnline));
            Assert.Equal(15, came.Count(transition => transition == Transition.None));

            var went =
                await Task.WhenAll(connections.Select((id, i) => Task.Run(() => (i % 2 == 0 ? leases : others).RemoveAsync(user, id))));
            Assert.Equal(1, went.Count(transition => transition == Transition.WentOffline));
            Assert.Equal(15, went.Count(transition => transition == Transition.None));
        }
    }

    [Fact]
    public async Task Concurrent_sweeps_claim_each_offline_user_exactly_once()
    {
        // Of an installation without a node, which would sweep as well.
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            [new("ConnectionStrings:Redis", (await TestServers.Get()).Redis), new("Redis:Prefix", $"t{Guid.NewGuid():N}:")]).Build();
        await using var redis = new RedisConnection(
            configuration, app.Services.GetRequiredService<ServerMetrics>(), app.Services.GetRequiredService<DependencyStates>());
        await redis.StartAsync(CancellationToken.None);
        PresenceLeases[] leases = [new(redis, TimeProvider.System), new(redis, TimeProvider.System)];
        // More than one batch for each sweeper: all of them have expired already.
        var (gone, there) = (Enumerable.Range(0, 2000).Select(_ => Guid.NewGuid()).ToArray(), Guid.NewGuid());
        await Task.WhenAll(gone.Append(there).Select(async user =>
        {
            await leases[0].AddAsync(user, Guid.NewGuid());
            await redis.ExpireLeases(user, leases[0].RedisTime);
        }));

        var back = await leases[1].AddAsync(there, Guid.NewGuid());
        var swept = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(leases[i % 2].SweepAsync)));

        Assert.Equal(Transition.None, back);
        Assert.Equal(gone.Order(), swept.SelectMany(claimed => claimed).Select(claimed => claimed.UserId).Order());
        Assert.Empty(await leases[0].SweepAsync());
    }

    private static bool IsChange(Received frame) => frame.Type is "user.online" or "user.offline";

    private static int Changes(SocketClient client) => client.Frames.Count(IsChange);
}

/// <summary>Two nodes for the presence tests, whose users do not meet, and an observer who sees all of them.</summary>
public sealed class PresenceNodes : IAsyncLifetime
{
    private readonly TestUser witness = ChatApp.NewUser();
    private SocketClient atWitness = null!;

    public TwoNodes Nodes { get; private set; } = null!;

    /// <summary>Connects a user; returns once everyone has been notified.</summary>
    public async Task<SocketClient> Come(ChatApp node, TestUser user)
    {
        await node.OpenDirect(user, witness);
        var client = await node.Connect(user);
        while ((await atWitness.Next("user.online")).Id("userId") != user.Id)
        {
        }

        return client;
    }

    public async Task InitializeAsync()
    {
        Nodes = await TwoNodes.Start();
        atWitness = await Nodes.One.Connect(witness);
        await Eventually.Until("the witness is there", () => Nodes.One.HeldLeases(witness) == 1);
    }

    public async Task DisposeAsync()
    {
        await atWitness.DisposeAsync();
        await Nodes.DisposeAsync();
    }
}
