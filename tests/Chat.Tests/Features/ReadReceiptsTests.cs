using System.Net;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Marten;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class ReadReceiptsTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Fact]
    public async Task Receipts_lost_between_nodes_are_recovered_but_never_across_a_block()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var (withBob, withCarol) = (await cluster.First.OpenDirect(alice, bob), await cluster.First.OpenDirect(alice, carol));
        await using var atAlice = await cluster.First.Connect(alice);
        foreach (var conversation in new[] { withBob, withBob, withCarol, withCarol, withCarol })
            await atAlice.SendMessage(conversation, "hello");
        await atAlice.Block(bob);

        await MoveUnheard(withBob, bob, 2, isRead: true);
        await MoveUnheard(withCarol, carol, 1, isRead: true);
        await MoveUnheard(withCarol, carol, 3, isRead: false);

        var read = await atAlice.Next("message.read_update");
        Assert.Equal((withCarol, carol.Id, 1), (read.Id("conversationId"), read.Id("readBy"), read.Number("upTo")));
        Assert.Single(read.List("messageIds"));
        var delivered = await atAlice.Next("message.delivered_update");
        Assert.Equal(
            (withCarol, carol.Id, 3), (delivered.Id("conversationId"), delivered.Id("userId"), delivered.Number("upTo")));

        await atAlice.Unblock(bob);
        read = await atAlice.Next("message.read_update");
        Assert.Equal((withBob, bob.Id, 2), (read.Id("conversationId"), read.Id("readBy"), read.Number("upTo")));
        Assert.Equal(2, read.List("messageIds").Length);
        Assert.Equal(2, (await atAlice.AllSettled("message.read_update")).Count);

        // Committed by the second node without publishing it: as if the publish were lost.
        async Task MoveUnheard(Guid conversation, TestUser member, long upTo, bool isRead)
        {
            await using var session = cluster.Second.Services.GetRequiredService<IDocumentStore>().LightweightSession();
            var before = (await session.LoadAsync<Member>(Member.IdOf(conversation, member.Id)))!;
            var after = Member.Advanced(before, upTo, isRead);
            session.Update(after);
            cluster.Second.Services.GetRequiredService<Journal>().RecordCursor(session, before, after);
            await session.SaveChangesAsync();
        }
    }

    [Fact]
    public async Task Reading_is_acknowledged_with_its_effect()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 5);
        var (other, _) = await talk.WithAnother(2);

        var ack = await talk.AtBob.Read(talk.Id, 3);
        var rest = await talk.AtBob.Read(talk.Id);
        var again = await talk.AtBob.Read(talk.Id);

        Assert.Equal("message.read_ack", ack.Type);
        Assert.Equal(["conversationId", "markedCount", "upTo", "readAt", "unread", "totalUnread"],
            ack.Payload.EnumerateObject().Select(field => field.Name));
        Assert.Equal(talk.Id, ack.Id("conversationId"));
        Assert.Equal((3, 3, 2, 4), NumbersOf(ack));
        Assert.Equal((2, 5, 0, 2), NumbersOf(rest));
        Assert.Equal((0, 5, 0, 2), NumbersOf(again));
        var (total, unread) = await app.Unread(talk.Bob);
        Assert.Equal(2, total);
        Assert.Equal([KeyValuePair.Create(other, 2L)], unread);
    }

    [Fact]
    public async Task All_members_are_notified_of_a_read()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 4);
        await using var bobElsewhere = await cluster.Second.Connect(talk.Bob);

        var ack = await talk.AtBob.Read(talk.Id, 3);

        foreach (var atAlice in new[] { talk.AtAlice, talk.AliceElsewhere })
        {
            var update = await atAlice.Next("message.read_update");
            Assert.Equal(
                ["conversationId", "messageIds", "upTo", "readBy", "readAt"], update.Payload.EnumerateObject().Select(field => field.Name));
            Assert.Equal(talk.Messages.Take(3), update.List("messageIds").Select(id => id.GetGuid()));
            Assert.Equal(
                (talk.Id, 3, talk.Bob.Id), (update.Id("conversationId"), update.Number("upTo"), update.Id("readBy")));
            Assert.Equal(ack.Text("readAt"), update.Text("readAt"));
        }

        foreach (var device in new[] { talk.BobsOther, bobElsewhere })
        {
            var told = await device.Next("notification.unread");
            Assert.Equal((talk.Id, 1, 1), (told.Id("conversationId"), told.Number("unread"), told.Number("totalUnread")));
        }

        Assert.Empty(await talk.AtBob.AllSettled("notification.unread"));
        Assert.Empty(talk.AtBob.All("message.read_update"));
        Assert.Empty(await talk.BobsOther.AllSettled("message.read_update"));
    }

    [Fact]
    public async Task Own_messages_are_not_marked()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 2);
        await talk.AtBob.SendMessage(talk.Id, "bob's own");
        var last = await talk.AtAlice.SendMessage(talk.Id, "m4");

        var ack = await talk.AtBob.Read(talk.Id);
        var update = await talk.AtAlice.Next("message.read_update");

        Assert.Equal((3, 4, 0, 0), NumbersOf(ack));
        Assert.Equal([.. talk.Messages, last.Id("message.id")], update.List("messageIds").Select(id => id.GetGuid()));
    }

    [Fact]
    public async Task A_cursor_never_decreases()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 5);
        await talk.AtBob.Read(talk.Id, 4);
        await talk.AtAlice.Next("message.read_update");

        var back = await talk.AtBob.Read(talk.Id, 2);

        Assert.Equal((0, 4, 1, 1), NumbersOf(back));
        Assert.Empty((await talk.AtAlice.AllSettled("message.read_update")).Skip(1));
        Assert.Equal(4, (await app.Conversation(talk.Alice, talk.Id)).Member(talk.Bob).Number("readUpTo"));
    }

    [Fact]
    public async Task Concurrent_cursor_moves_on_two_nodes_end_at_the_furthest_and_mark_each_message_once()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 40);
        await using var bobElsewhere = await cluster.Second.Connect(talk.Bob);

        var acks = await Task.WhenAll(Enumerable.Range(1, 40).OrderBy(number => number * 7 % 40).Select(number =>
            new[] { talk.AtBob, talk.BobsOther, bobElsewhere }[number % 3].Read(talk.Id, number)));

        Assert.All(acks, ack => Assert.Equal("message.read_ack", ack.Type));
        Assert.All(acks, ack => Assert.InRange(ack.Number("unread"), 0, 40 - ack.Number("upTo")));
        Assert.Equal(40, acks.Sum(ack => ack.Number("markedCount")));
        var view = await app.Conversation(talk.Alice, talk.Id);
        Assert.Equal((40, 40),
            (view.Member(talk.Bob).Number("readUpTo"), view.Member(talk.Bob).Number("deliveredUpTo")));
        Assert.Equal(0, (await app.Unread(talk.Bob)).Total);
        await Eventually.Until("every message is told once", () => MarkedIds(talk.AtAlice).Count >= 40);
        Assert.Equal(talk.Messages.Order(), MarkedIds(talk.AtAlice).Order());
    }

    [Fact]
    public async Task Delivery_receipts_are_sent_to_the_others_and_never_decrease()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 5);

        await talk.AtBob.Deliver(talk.Id, 3);
        await talk.AtBob.Deliver(talk.Id, 2);
        await talk.AtBob.Deliver(talk.Id, 3);
        await talk.AtBob.Deliver(talk.Id, 4);

        foreach (var atAlice in new[] { talk.AtAlice, talk.AliceElsewhere })
        {
            var first = await atAlice.Next("message.delivered_update");
            Assert.Equal(["conversationId", "upTo", "userId", "deliveredAt"], first.Payload.EnumerateObject().Select(field => field.Name));
            Assert.Equal(
                (talk.Id, 3, talk.Bob.Id), (first.Id("conversationId"), first.Number("upTo"), first.Id("userId")));
            Assert.Equal(4, (await atAlice.Next("message.delivered_update")).Number("upTo"));
        }

        Assert.Equal(2, (await talk.AtAlice.AllSettled("message.delivered_update")).Count);
        Assert.Empty(talk.AtBob.All("message.delivered_update"));
        Assert.Equal(5, (await app.Unread(talk.Bob)).Total);
        var view = (await app.Conversation(talk.Alice, talk.Id)).Member(talk.Bob);
        Assert.Equal((0, 4), (view.Number("readUpTo"), view.Number("deliveredUpTo")));
    }

    [Fact]
    public async Task Read_implies_delivered()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 3);

        await talk.AtBob.Read(talk.Id, 2);
        await talk.AtBob.Deliver(talk.Id, 1);

        var view = (await app.Conversation(talk.Alice, talk.Id)).Member(talk.Bob);
        Assert.Equal((2, 2), (view.Number("readUpTo"), view.Number("deliveredUpTo")));
        Assert.Empty(await talk.AtAlice.AllSettled("message.delivered_update"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(3)]
    [InlineData(long.MaxValue)]
    public async Task A_missing_sequence_number_is_rejected(long upTo)
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 2);

        (await talk.AtBob.Read(talk.Id, upTo)).IsError("VALIDATION_ERROR", "upTo");
        (await talk.AtBob.Ask("message.delivered", new { conversationId = talk.Id, upTo })).IsError("VALIDATION_ERROR", "upTo");
        await (await app.ReadOverRest(talk.Bob, talk.Id, upTo)).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "upTo");

        Assert.Equal(2, (await app.Unread(talk.Bob)).Total);
        Assert.Empty(await talk.AtAlice.AllSettled("message.read_update"));
    }

    [Fact]
    public async Task Fields_are_required_and_typed()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 1);

        (await talk.AtBob.Ask("message.read", new { })).IsError("VALIDATION_ERROR", "conversationId");
        (await talk.AtBob.Ask("message.read", new { conversationId = talk.Id, upTo = 1.5 })).IsError("VALIDATION_ERROR", "upTo");
        (await talk.AtBob.Ask("message.delivered", new { conversationId = talk.Id })).IsError("VALIDATION_ERROR", "upTo");
        (await talk.AtBob.Ask("message.delivered", new { upTo = 1 })).IsError("VALIDATION_ERROR", "conversationId");
    }

    [Fact]
    public async Task Strangers_get_the_same_answer_whether_or_not_the_conversation_exists()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 1);
        var stranger = ChatApp.NewUser();
        await using var atStranger = await app.Connect(stranger);

        foreach (var id in new[] { talk.Id, Guid.NewGuid() })
        {
            (await atStranger.Read(id, 1)).IsError("FORBIDDEN");
            (await atStranger.Ask("message.delivered", new { conversationId = id, upTo = 1 })).IsError("FORBIDDEN");
            await (await app.ReadOverRest(stranger, id, 1)).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        }

        Assert.Empty(await talk.AtAlice.AllSettled("message.read_update"));
    }

    [Fact]
    public async Task Marking_an_empty_conversation_as_read_succeeds()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 0);

        Assert.Equal((0, 0, 0, 0), NumbersOf(await talk.AtBob.Read(talk.Id)));
        Assert.Empty(await talk.AtAlice.AllSettled("message.read_update"));
    }

    [Fact]
    public async Task REST_reads_like_the_socket()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 3);
        var (other, _) = await talk.WithAnother(1);

        var ack = await (await cluster.Second.ReadOverRest(talk.Bob, talk.Id, 2)).Is(HttpStatusCode.OK);

        Assert.Equal(["conversationId", "markedCount", "upTo", "readAt", "unread", "totalUnread"],
            ack.EnumerateObject().Select(field => field.Name));
        Assert.Equal((2, 2, 1, 2), NumbersOf(new Received("", null, ack)));
        Assert.Equal(2, (await talk.AtAlice.Next("message.read_update")).Number("upTo"));
        foreach (var device in new[] { talk.AtBob, talk.BobsOther })
            await Eventually.Until(
                "the reader is told", () => device.All("notification.unread").Count > 0 && device.UnreadOf(talk.Id) == (1, 2));

        var everything = await (await app.Http(talk.Bob).PostAsync($"/chat/conversations/{talk.Id}/read", null)).Is(HttpStatusCode.OK);
        Assert.Equal((1, 3, 0, 1), NumbersOf(new Received("", null, everything)));
        Assert.Equal([KeyValuePair.Create(other, 1L)], (await app.Unread(talk.Bob)).Conversations);
    }

    [Fact]
    public async Task Counts_are_correct_for_a_reader_who_is_not_connected()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        for (var i = 0; i < 3; i++)
            await app.SendOverRest(alice, conversation, "hello");

        var ack = await (await app.ReadOverRest(bob, conversation, 1)).Is(HttpStatusCode.OK);

        Assert.Equal((1, 1, 2, 2), NumbersOf(new Received("", null, ack)));
    }

    [Fact]
    public async Task No_receipts_are_sent_between_blocked_users()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 4);

        await talk.AtAlice.Block(talk.Bob);
        Assert.Equal((2, 2, 2, 2), NumbersOf(await talk.AtBob.Read(talk.Id, 2)));
        await talk.AtBob.Deliver(talk.Id, 3);
        Assert.Empty(await talk.AtAlice.AllSettled("message.read_update"));
        Assert.Empty(talk.AtAlice.All("message.delivered_update"));

        await talk.AtAlice.Unblock(talk.Bob);
        await talk.AtBob.Read(talk.Id, 4);
        var update = await talk.AtAlice.Next("message.read_update");
        Assert.Equal(4, update.Number("upTo"));
        Assert.Equal(talk.Messages.Skip(2), update.List("messageIds").Select(id => id.GetGuid()));

        // The same in the other direction: the blocker's reads are hidden as well.
        await talk.AtBob.SendMessage(talk.Id, "m5");
        await talk.AtBob.Block(talk.Alice);
        await talk.AtBob.Read(talk.Id);
        await talk.AtAlice.Read(talk.Id);
        Assert.Empty(await talk.AtBob.AllSettled("message.read_update"));
        Assert.Single(await talk.AtAlice.AllSettled("message.read_update"));
    }

    [Fact]
    public async Task A_block_on_one_node_stops_receipts_on_the_other_at_once()
    {
        await using var talk = await Talk.Start(app, cluster.Second, messages: 4);
        await using var bobElsewhere = await cluster.Second.Connect(talk.Bob);
        await bobElsewhere.Read(talk.Id, 1);
        await talk.AliceElsewhere.Next("message.read_update");

        await talk.AtAlice.Block(talk.Bob);
        // Alice's connection there is notified of the block after the second node's block cache was invalidated.
        await talk.AliceElsewhere.Next("block.added");
        await bobElsewhere.Read(talk.Id, 2);

        Assert.Empty((await talk.AliceElsewhere.AllSettled("message.read_update")).Skip(1));
    }

    private static (long Marked, long UpTo, long Unread, long Total) NumbersOf(Received ack) =>
        (ack.Number("markedCount"), ack.Number("upTo"), ack.Number("unread"), ack.Number("totalUnread"));

    private static IReadOnlyList<Guid> MarkedIds(SocketClient client) =>
        [.. client.All("message.read_update").SelectMany(update => update.List("messageIds")).Select(id => id.GetGuid())];

    /// <summary>Alice has written to Bob, who has read nothing. Alice is connected to both nodes, Bob to the first, twice.</summary>
    private sealed class Talk : IAsyncDisposable
    {
        private readonly ChatApp app;

        private Talk(ChatApp app) => this.app = app;

        public TestUser Alice { get; } = ChatApp.NewUser();

        public TestUser Bob { get; } = ChatApp.NewUser();

        public Guid Id { get; private set; }

        public IReadOnlyList<Guid> Messages { get; private set; } = [];

        public SocketClient AtAlice { get; private set; } = null!;

        public SocketClient AliceElsewhere { get; private set; } = null!;

        public SocketClient AtBob { get; private set; } = null!;

        public SocketClient BobsOther { get; private set; } = null!;

        public static async Task<Talk> Start(ChatApp app, ChatApp elsewhere, int messages)
        {
            var talk = new Talk(app);
            talk.Id = await app.OpenDirect(talk.Alice, talk.Bob);
            talk.AtAlice = await app.Connect(talk.Alice);
            var ids = new List<Guid>();
            for (var i = 0; i < messages; i++)
                ids.Add((await talk.AtAlice.SendMessage(talk.Id, $"m{i}")).Id("message.id"));
            talk.Messages = ids;
            talk.AliceElsewhere = await elsewhere.Connect(talk.Alice);
            talk.AtBob = await app.Connect(talk.Bob);
            talk.BobsOther = await app.Connect(talk.Bob);
            return talk;
        }

        /// <summary>Another user has also written to Bob.</summary>
        public async Task<(Guid Id, TestUser Carol)> WithAnother(int messages)
        {
            var carol = ChatApp.NewUser();
            var other = await app.OpenDirect(carol, Bob);
            for (var i = 0; i < messages; i++)
                await app.SendOverRest(carol, other, "from carol");
            return (other, carol);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var client in new[] { AtAlice, AliceElsewhere, AtBob, BobsOther })
                await client.DisposeAsync();
        }
    }
}
