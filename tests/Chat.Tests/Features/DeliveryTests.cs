using System.Diagnostics;
using System.Net.Http.Json;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit.Abstractions;

namespace Chat.Tests.Features;

public sealed class DeliveryTests(SharedCluster cluster, ITestOutputHelper output) : IClassFixture<SharedCluster>
{
    private ChatApp First => cluster.First;

    private ChatApp Second => cluster.Second;

    [Fact]
    public async Task Every_device_on_every_node_receives_each_change_once_in_one_order()
    {
        const int Each = 200;
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var aliceFirst = await First.Connect(alice);
        await using var aliceSecond = await Second.Connect(alice);
        await using var bobFirst = await First.Connect(bob);
        await using var bobSecond = await Second.Connect(bob);
        SocketClient[] devices = [aliceFirst, aliceSecond, bobFirst, bobSecond];

        await Task.WhenAll(SendAll(aliceFirst, "a"), SendAll(bobSecond, "b"));

        foreach (var device in devices)
        {
            await Eventually.Until("everything has come", () => device.NumbersOf(conversation).Count >= Each * 2);
            await device.Settle();
            Assert.Equal(Enumerable.Range(1, Each * 2).Select(number => (long)number), device.NumbersOf(conversation));
            Assert.Equal(
                Enumerable.Range(1, Each * 2).Select(number => (long)number),
                device.All("conversation.updated").Select(updated => updated["seq"].GetInt64()));
            Assert.Empty(device.All("error"));
        }

        Assert.Equal((Each, Each), aliceFirst.UnreadOf(conversation));
        Assert.Equal((Each, Each), aliceSecond.UnreadOf(conversation));
        Assert.Equal((Each, Each), bobFirst.UnreadOf(conversation));
        Assert.Equal((Each, Each), bobSecond.UnreadOf(conversation));

        async Task SendAll(SocketClient sender, string name)
        {
            for (var i = 0; i < Each; i++)
                Assert.Equal("message.sent", (await sender.SendMessage(conversation, $"{name}{i}", $"{name}{i}")).Type);
        }
    }

    [Fact]
    public async Task The_senders_device_on_another_node_gets_the_tempId_and_the_receivers_does_not()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var sending = await First.Connect(alice);
        await using var elsewhere = await Second.Connect(alice);
        await using var receiving = await Second.Connect(bob);

        await sending.SendMessage(conversation, "hello", "t1");

        Assert.Equal("t1", (await elsewhere.NextMessage())["message.tempId"].GetString());
        Assert.False((await receiving.NextMessage())["message"].TryGetProperty("tempId", out _));
        Assert.False((await receiving.Next("conversation.updated"))["lastMessage"].TryGetProperty("tempId", out _));
        Assert.Equal(1, (await receiving.Next("notification.unread"))["totalUnread"].GetInt64());
    }

    [Fact]
    public async Task A_conversation_opened_while_members_are_connected_delivers_from_its_first_message()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await First.Connect(alice);
        await using var atBob = await Second.Connect(bob);
        var conversation = await Second.OpenDirect(bob, alice);

        for (var i = 1; i <= 3; i++)
            await atAlice.SendMessage(conversation, $"m{i}");

        for (var i = 1; i <= 3; i++)
            Assert.Equal(i, (await atBob.NextMessage())["message.seq"].GetInt64());
    }

    [Fact]
    public async Task A_user_who_reconnects_to_the_other_node_receives_new_messages()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atAlice = await First.Connect(alice);

        for (var round = 1; round <= 20; round++)
        {
            await using var atBob = await (round % 3 == 0 ? First : Second).Connect(bob);
            await atAlice.SendMessage(conversation, $"m{round}");
            var arrived = await atBob.NextMessage();
            Assert.Equal(round, arrived["message.seq"].GetInt64());
            Assert.Equal(round, (await atBob.Next("notification.unread"))["unread"].GetInt64());
            if (round % 2 == 0)
                await atBob.Leave();
        }
    }

    [Fact]
    public async Task Changes_lost_between_nodes_are_delivered_within_five_seconds()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atAlice = await First.Connect(alice);
        await using var atBob = await First.Connect(bob);
        await atAlice.SendMessage(conversation, "m1");
        await atBob.NextMessage();

        await StoreUnheard(alice, conversation, "m2");
        await StoreUnheard(alice, conversation, "m3");

        Assert.Equal(2, (await atBob.NextMessage())["message.seq"].GetInt64());
        Assert.Equal(3, (await atBob.NextMessage())["message.seq"].GetInt64());
        Assert.Equal(2, (await atAlice.NextMessage())["message.seq"].GetInt64());
        await atBob.Settle();
        Assert.Equal((3, 3), atBob.UnreadOf(conversation));
        Assert.Equal(3, (await First.Conversation(bob, conversation)).GetProperty("unread").GetInt64());

        // A busy machine may add to it, but hardly every time.
        var took = TimeSpan.MaxValue;
        for (var seq = 4; seq <= 6 && took > TimeSpan.FromSeconds(5); seq++)
        {
            await StoreUnheard(alice, conversation, $"m{seq}");
            var storedAt = Stopwatch.GetTimestamp();
            var arrived = await atBob.NextMessage();
            Assert.Equal(seq, arrived["message.seq"].GetInt64());
            took = Stopwatch.GetElapsedTime(storedAt, arrived.ArrivedAt);
        }

        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_gap_is_filled_before_later_changes_without_duplicates()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atAlice = await First.Connect(alice);
        await using var atBob = await First.Connect(bob);
        await using var bobElsewhere = await Second.Connect(bob);

        for (var i = 0; i < 3; i++)
        {
            await StoreUnheard(bob, conversation, "lost");
            await StoreUnheard(alice, conversation, "lost, too");
            Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "heard", $"t{i}")).Type);
        }

        foreach (var device in new[] { atAlice, atBob, bobElsewhere })
        {
            await Eventually.Until("everything has come", () => device.NumbersOf(conversation).Count >= 9);
            await device.Settle();
            Assert.Equal(Enumerable.Range(1, 9).Select(number => (long)number), device.NumbersOf(conversation));
        }

        Assert.Equal((6, 6), atBob.UnreadOf(conversation));
        Assert.Equal((6, 6), bobElsewhere.UnreadOf(conversation));
        Assert.Equal((3, 3), atAlice.UnreadOf(conversation));
    }

    [Fact]
    public async Task A_reading_device_receives_any_number_of_lost_changes_and_is_not_closed()
    {
        const int Lost = 250;
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atBob = await First.Connect(bob);

        await Task.WhenAll(Enumerable.Range(1, Lost).Select(i => StoreUnheard(alice, conversation, $"lost {i}")));
        await First.SendOverRest(alice, conversation, "heard");

        await Eventually.Until("everything has come", () => atBob.NumbersOf(conversation).Count > Lost || atBob.IsClosed);
        Assert.False(atBob.IsClosed);
        await atBob.Settle();
        Assert.Equal(Enumerable.Range(1, Lost + 1).Select(number => (long)number), atBob.NumbersOf(conversation));
        Assert.Equal((Lost + 1, Lost + 1), atBob.UnreadOf(conversation));
    }

    [Fact]
    public async Task Thousands_of_lost_changes_reach_a_device_as_fast_as_it_reads()
    {
        const int Lost = 3000;
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atBob = await First.Connect(bob);

        // Nothing reveals that they are missing: only the journal does.
        await Task.WhenAll(Enumerable.Range(1, Lost).Select(i => StoreUnheard(alice, conversation, $"lost {i}")));
        var began = Stopwatch.GetTimestamp();

        await Eventually.Until("everything has come", () => atBob.NumbersOf(conversation).Count >= Lost || atBob.IsClosed);
        output.WriteLine($"{Lost} were there after {Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s");
        Assert.False(atBob.IsClosed);
        await atBob.Settle();
        Assert.Equal(Enumerable.Range(1, Lost).Select(number => (long)number), atBob.NumbersOf(conversation));
        Assert.Equal((Lost, Lost), atBob.UnreadOf(conversation));
    }

    [Fact]
    public async Task A_lost_first_message_of_a_conversation_is_recovered()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atBob = await First.Connect(bob);
        var conversation = await Second.OpenDirect(alice, bob);

        await StoreUnheard(alice, conversation, "m1");

        Assert.Equal(1, (await atBob.NextMessage())["message.seq"].GetInt64());
        Assert.Equal(1, (await atBob.Next("notification.unread"))["totalUnread"].GetInt64());
    }

    [Fact]
    public async Task The_sweep_finds_a_change_that_the_journal_does_not_have()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var atBob = await First.Connect(bob);
        await StoreUnjournaled(alice, conversation, "m1");

        await First.Services.GetRequiredService<DeliverySweep>().SweepAsync(default);

        Assert.Equal(1, (await atBob.NextMessage())["message.seq"].GetInt64());
        Assert.Equal(1, (await atBob.Next("notification.unread"))["totalUnread"].GetInt64());
    }

    [Fact]
    public async Task Reading_while_others_send_on_two_nodes_leaves_correct_counts_everywhere()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        await using var aliceFirst = await First.Connect(alice);
        await using var aliceSecond = await Second.Connect(alice);
        await using var bobFirst = await First.Connect(bob);
        await using var bobSecond = await Second.Connect(bob);

        await Task.WhenAll(Send(aliceFirst), Send(aliceSecond), Read(bobFirst), Read(bobSecond));
        await aliceFirst.SendMessage(conversation, "the last");

        var unread = (await First.Conversation(bob, conversation)).GetProperty("unread").GetInt64();
        Assert.InRange(unread, 1, 81);
        foreach (var device in new[] { bobFirst, bobSecond })
        {
            await Eventually.Until("everything has come", () => device.NumbersOf(conversation).Count == 81);
            await Eventually.Until($"{unread} unread", () => device.UnreadOf(conversation) == (unread, unread));
        }

        async Task Send(SocketClient sender)
        {
            for (var i = 0; i < 40; i++)
                Assert.Equal("message.sent", (await sender.SendMessage(conversation, $"m{i}")).Type);
        }

        async Task Read(SocketClient reader)
        {
            for (var i = 0; i < 20; i++)
                Assert.Equal("message.read_ack", (await reader.Ask("message.read", new { conversationId = conversation })).Type);
        }
    }

    [Fact]
    public async Task Reading_over_REST_while_connecting_counts_nothing_twice()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await First.OpenDirect(alice, bob);
        var total = 0;
        for (var round = 0; round < 10; round++)
        {
            for (var i = 0; i < 2; i++, total++)
                await First.SendOverRest(alice, conversation, "hello");
            var connecting = First.Connect(bob);
            var reads = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ =>
                First.Http(bob).PostAsJsonAsync($"/chat/conversations/{conversation}/read", new { upTo = total - 1 })));
            foreach (var read in reads)
            {
                var answer = await read.Is(System.Net.HttpStatusCode.OK);
                Assert.Equal((1, 1), (answer.GetProperty("unread").GetInt64(), answer.GetProperty("totalUnread").GetInt64()));
            }

            await using var atBob = await connecting;
            await First.SendOverRest(alice, conversation, "one more");
            total++;
            await atBob.NextMessage();
            await Eventually.Until(
                "2 are unread", () => atBob.All("notification.unread").Count > 0 && atBob.UnreadOf(conversation) == (2, 2));
        }
    }

    [Fact]
    public async Task A_hundred_sockets_in_fifty_conversations_receive_everything_once_and_in_order()
    {
        const int Rounds = 20;
        var pairs = await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            var (one, other) = (ChatApp.NewUser(), ChatApp.NewUser());
            return (Id: await First.OpenDirect(one, other), One: await First.Connect(one),
                Other: await (i % 2 == 0 ? First : Second).Connect(other), Reader: one);
        }));

        await Task.WhenAll(
            pairs.SelectMany(pair => new[] { Converse(pair.One, pair.Other, pair.Id), Converse(pair.Other, pair.One, pair.Id) }))
            .WaitAsync(Eventually.Timeout);

        foreach (var (id, one, other, reader) in pairs)
        {
            var all = Enumerable.Range(1, Rounds * 2).Select(number => (long)number).ToArray();
            foreach (var socket in new[] { one, other })
            {
                Assert.Equal(all, socket.NumbersOf(id));
                Assert.Empty(socket.All("error"));
            }

            Assert.Equal(all, (await First.History(reader, id)).Select(message => message.GetProperty("seq").GetInt64()));
            await one.DisposeAsync();
            await other.DisposeAsync();
        }

        // Each sends its next message after receiving the other's last one.
        async Task Converse(SocketClient from, SocketClient to, Guid conversation)
        {
            for (var i = 0; i < Rounds; i++)
            {
                var sent = await from.SendMessage(conversation, $"m{i}", $"t{i}");
                Assert.Equal("message.sent", sent.Type);
                Assert.Equal(sent["message.id"].GetGuid(), (await to.NextMessage())["message.id"].GetGuid());
            }
        }
    }

    // Committed by the second node without publishing it: as if the publish were lost.
    // As a node would that does not know the journal yet.
    private async Task StoreUnjournaled(TestUser sender, Guid conversation, string content)
    {
        var tables = Second.Services.GetRequiredService<TableNames>();
        await using var connection = await Second.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var message = new Message
        {
            Id = Guid.CreateVersion7(),
            ConversationId = conversation,
            Seq = 0,
            ChangedSeq = 0,
            SenderId = sender.Id,
            Type = SendMessage.Text,
            Content = content,
            SentAt = DateTimeOffset.UnixEpoch,
        };
        await AppendFunction.CallAsync(connection, tables, [new AppendCandidate(message, [])], optimistic: true, default);
        await using var forget = new NpgsqlCommand($"delete from {tables.Journal} where tx = pg_current_xact_id()", connection, transaction);
        Assert.Equal(1, await forget.ExecuteNonQueryAsync());
        await transaction.CommitAsync();
    }

    private async Task StoreUnheard(TestUser sender, Guid conversation, string content)
    {
        var appended = await Second.Services.GetRequiredService<ConversationLog>().AppendAsync(
            new MessageDraft(Guid.CreateVersion7(), conversation, sender.Id, SendMessage.Text, content, null, []), _ => { });
        Assert.Equal(AppendOutcome.Stored, appended.Outcome);
    }
}
