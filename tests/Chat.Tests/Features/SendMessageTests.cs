using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.RateLimiting;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class SendMessageTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Fact]
    public async Task A_message_is_acknowledged_delivered_and_read()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);
        var conversation = await app.OpenDirect(alice, bob);

        var sent = await atAlice.SendMessage(conversation, "\n hello  ", "t1");
        var arrived = await atBob.NextMessage();

        Assert.Equal("message.sent", sent.Type);
        Assert.Equal("t1", sent.Text("tempId"));
        Assert.Equal(" hello", sent.Text("message.content"));
        Assert.Equal(1, sent.Number("message.seq"));
        Assert.Equal(sent.Id("message.id"), arrived.Id("message.id"));
        Assert.False(arrived["message"].Has("tempId"));
        Assert.Equal(1, (await atBob.Next("notification.unread")).Number("totalUnread"));
        Assert.Equal(sent.Id("message.id"), Assert.Single(await app.History(bob, conversation)).Id("id"));
    }

    [Fact]
    public async Task A_send_whose_commit_is_found_first_is_answered_and_not_echoed()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var alsoAlice = await app.Connect(alice);
        await using var held = await HeldLock.OfHead(app, conversation);

        // As if the database had committed the first attempt, and the second lookup is still running.
        var send = atAlice.SendMessage(conversation, "hello", "t1");
        await held.IsWaitedFor();
        var stored = new Message
        {
            Id = DeterministicId.Of("message", alice.Id, conversation, "t1"),
            ConversationId = conversation,
            Seq = 1,
            ChangedSeq = 1,
            SenderId = alice.Id,
            Type = "text",
            Content = "hello",
            SentAt = DateTimeOffset.UnixEpoch,
            TempId = "t1",
        };
        Assert.True(app.Services.GetRequiredService<Delivery>().FeedOf(alice.Id)!.Offer(new Change(stored)));
        var sent = await send;
        await held.Release();
        await atAlice.SendMessage(conversation, "marker", "t2");

        Assert.Equal(("message.sent", stored.Id), (sent.Type, sent.Id("message.id")));
        Assert.Empty(await atAlice.AllSettled("message.new"));
        Assert.Equal([1, 2], atAlice.NumbersOf(conversation));
        await alsoAlice.NextMessage();
        await alsoAlice.NextMessage();
        Assert.Equal([1, 2], alsoAlice.NumbersOf(conversation));
    }

    [Fact]
    public async Task A_message_has_exactly_the_specified_fields()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        var conversation = await app.OpenDirect(alice, bob);

        var message = (await atAlice.SendMessage(conversation, "hello", "t1"))["message"];

        Assert.Equal(
            ["id", "conversationId", "seq", "changedSeq", "senderId", "type", "content", "sentAt", "tempId"],
            message.EnumerateObject().Select(field => field.Name));
        Assert.Equal(conversation, message.Id("conversationId"));
        Assert.Equal(alice.Id, message.Id("senderId"));
        Assert.Equal("text", message.Text("type"));
        Assert.Equal(1, message.Number("changedSeq"));
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", message.Text("sentAt"));
        Assert.Matches("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", message.Text("id"));
    }

    [Fact]
    public async Task Every_connection_receives_only_its_own_events()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var sending = await app.Connect(alice);
        await using var other = await app.Connect(alice);
        await using var phone = await app.Connect(bob);
        await using var laptop = await app.Connect(bob);

        var sent = await sending.SendMessage(conversation, "hello", "t1");

        Assert.Empty(await sending.AllSettled("message.new"));
        Assert.Equal("t1", Assert.Single(await other.AllSettled("message.new")).Text("message.tempId"));
        Assert.Empty(other.All("message.sent"));
        foreach (var receiving in new[] { phone, laptop })
        {
            var arrived = Assert.Single(await receiving.AllSettled("message.new"));
            Assert.Equal(sent.Id("message.id"), arrived.Id("message.id"));
            Assert.False(arrived["message"].Has("tempId"));
            var unread = Assert.Single(receiving.All("notification.unread"));
            Assert.Equal(
                (conversation, 1, 1), (unread.Id("conversationId"), unread.Number("unread"), unread.Number("totalUnread")));
        }

        foreach (var member in new[] { sending, other, phone, laptop })
        {
            var updated = Assert.Single(member.All("conversation.updated"));
            Assert.Equal(conversation, updated.Id("conversationId"));
            Assert.Equal(1, updated.Number("seq"));
            Assert.Equal(sent.Id("message.id"), updated.Id("lastMessage.id"));
        }

        Assert.Empty(sending.All("notification.unread"));
        Assert.Empty(other.All("notification.unread"));
        Assert.All(new[] { other, phone, laptop }, client => Assert.All(client.All("message.new"), frame => Assert.Null(frame.Id)));
    }

    [Fact]
    public async Task Unread_counts_cover_the_conversation_and_the_total()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var (withAlice, withCarol) = (await app.OpenDirect(alice, bob), await app.OpenDirect(carol, bob));
        await app.SendOverRest(carol, withCarol, "before bob connects");
        await using var atBob = await app.Connect(bob);

        await app.SendOverRest(alice, withAlice, "one");
        await app.SendOverRest(alice, withAlice, "two");
        await app.SendOverRest(carol, withCarol, "three");
        await app.SendOverRest(bob, withCarol, "his own does not count");
        await app.SendOverRest(alice, withAlice, "four");

        Assert.Equal(
            [(withAlice, 1, 2), (withAlice, 2, 3), (withCarol, 2, 4), (withAlice, 3, 5)],
            (await atBob.AllSettled("notification.unread")).Select(told =>
                (told.Id("conversationId"), told.Number("unread"), told.Number("totalUnread"))));
    }

    [Fact]
    public async Task A_retry_gets_the_same_answer_and_is_neither_stored_nor_pushed()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);

        var first = await atAlice.SendMessage(conversation, "hello", "t1");
        var between = await atAlice.SendMessage(conversation, "another", "t2");
        var again = await atAlice.SendMessage(conversation, "hello", "t1");
        var different = await atAlice.SendMessage(conversation, "something else", "t1");

        Assert.Equal(first.Payload.GetRawText(), again.Payload.GetRawText());
        Assert.Equal(first.Payload.GetRawText(), different.Payload.GetRawText());
        Assert.Equal(2, between.Number("message.seq"));
        Assert.Equal(
            ["hello", "another"], (await app.History(bob, conversation)).Select(message => message.Text("content")));
        Assert.Equal(2, (await atBob.AllSettled("message.new")).Count);
        Assert.Equal(2, (await atAlice.AllSettled("conversation.updated")).Count);
    }

    [Fact]
    public async Task A_tempId_is_scoped_to_its_sender_and_conversation()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var (withBob, withCarol) = (await app.OpenDirect(alice, bob), await app.OpenDirect(alice, carol));
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);

        var ids = new HashSet<Guid>
        {
            (await atAlice.SendMessage(withBob, "one", "t1")).Id("message.id"),
            (await atBob.SendMessage(withBob, "two", "t1")).Id("message.id"),
            (await atAlice.SendMessage(withCarol, "three", "t1")).Id("message.id"),
        };

        Assert.Equal(3, ids.Count);
        Assert.Equal(2, (await app.History(alice, withBob)).Count);
    }

    [Fact]
    public async Task Concurrent_sends_of_one_tempId_over_sockets_nodes_and_REST_are_one_message()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var here = await app.Connect(alice);
        await using var alsoHere = await app.Connect(alice);
        await using var there = await cluster.Second.Connect(alice);
        await using var bobHere = await app.Connect(bob);
        await using var bobThere = await cluster.Second.Connect(bob);

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 30).Select(i => new[] { here, alsoHere, there }[i % 3].SendMessage(conversation, "once", "t1")));
        var overRest = await Task.WhenAll(
            Enumerable.Range(0, 10).Select(i => (i % 2 == 0 ? app : cluster.Second).SendOverRest(alice, conversation, "once", "t1")));

        Assert.All(answers, answer => Assert.Equal("message.sent", answer.Type));
        Assert.Single(answers.Select(answer => answer["message"].GetRawText()).Distinct());
        Assert.All(overRest, response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));

        // A later message on each path: pushes of the retries would arrive before it.
        await app.SendOverRest(alice, conversation, "marker");
        foreach (var receiving in new[] { bobHere, bobThere })
        {
            Assert.Equal("once", (await receiving.NextMessage()).Text("message.content"));
            Assert.Equal("marker", (await receiving.NextMessage()).Text("message.content"));
        }

        Assert.Equal([1, 2], (await app.History(alice, conversation)).Select(message => message.Number("seq")));
    }

    [Fact]
    public async Task REST_and_socket_are_equivalent()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await cluster.Second.Connect(bob);

        var created = await (await app.SendOverRest(alice, conversation, "\nover REST ", "t1")).Is(HttpStatusCode.Created);
        var repeated = await (await cluster.Second.SendOverRest(alice, conversation, "over REST", "t1")).Is(HttpStatusCode.OK);
        var onSocket = await atAlice.SendMessage(conversation, "over REST", "t1");
        var socketFirst = await atAlice.SendMessage(conversation, "over the socket", "t2");
        var restSecond = await (await app.SendOverRest(alice, conversation, "over the socket", "t2")).Is(HttpStatusCode.OK);

        Assert.Equal("over REST", created.Text("content"));
        Assert.Equal(created.GetRawText(), repeated.GetRawText());
        Assert.Equal(created.GetRawText(), onSocket["message"].GetRawText());
        Assert.Equal(socketFirst["message"].GetRawText(), restSecond.GetRawText());
        Assert.Equal(created.Id("id"), (await atBob.NextMessage()).Id("message.id"));
        Assert.Equal(socketFirst.Id("message.id"), (await atBob.NextMessage()).Id("message.id"));
        Assert.Equal(created.GetRawText(), Assert.Single(await atAlice.AllSettled("message.new"))["message"].GetRawText());
    }

    [Fact]
    public async Task An_empty_tempId_counts_as_omitted()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);

        var first = await atAlice.SendMessage(conversation, "hello", tempId: "");
        var second = await atAlice.SendMessage(conversation, "hello", tempId: "");

        Assert.Equal(("", ""), (first.Text("tempId"), second.Text("tempId")));
        Assert.False(first["message"].Has("tempId"));
        Assert.Equal(2, (await app.History(bob, conversation)).Count);
    }

    [Fact]
    public async Task Without_a_tempId_every_send_is_a_new_message()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);

        var first = await atAlice.SendMessage(conversation, "hello");
        var second = await atAlice.SendMessage(conversation, "hello");

        Assert.Equal(("", ""), (first.Text("tempId"), second.Text("tempId")));
        Assert.NotEqual(first.Id("message.id"), second.Id("message.id"));
        Assert.Equal(2, (await app.History(bob, conversation)).Count);
    }

    [Fact]
    public async Task Replies_keep_the_order_of_the_requests()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);

        for (var i = 0; i < 50; i++)
        {
            await atAlice.Send("message.send", new { conversationId = conversation, content = $"m{i}", tempId = $"t{i}" }, $"s{i}");
            // A retry and a rejection in between: their replies are ready earlier and must not overtake.
            if (i % 10 == 5)
                await atAlice.Send("message.send", new { conversationId = conversation, content = "again", tempId = $"t{i - 1}" }, $"r{i}");
            if (i % 10 == 7)
                await atAlice.Send("message.send", new { conversationId = conversation, content = "" }, $"e{i}");
        }

        await atAlice.Settle();
        var expected = Enumerable.Range(0, 50).SelectMany(i => (i % 10) switch
        {
            5 => new[] { $"s{i}", $"r{i}" },
            7 => [$"s{i}", $"e{i}"],
            _ => [$"s{i}"],
        });
        Assert.Equal(expected, atAlice.Frames.Where(frame => frame.Id is not null && frame.Id[0] != 'q').Select(frame => frame.Id));
        Assert.Equal(Enumerable.Range(1, 50).Select(i => (long)i),
            (await atBob.AllSettled("message.new")).Select(frame => frame.Number("message.seq")));
    }

    [Fact]
    public async Task A_strangers_send_gets_the_same_answer_whether_or_not_the_conversation_exists()
    {
        var (alice, bob, stranger) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atStranger = await app.Connect(stranger);
        await using var atBob = await app.Connect(bob);

        var foreign = (await atStranger.SendMessage(conversation, "let me in", "t1")).IsError("FORBIDDEN");
        var missing = (await atStranger.SendMessage(Guid.NewGuid(), "let me in", "t1")).IsError("FORBIDDEN");
        var foreignRest =
            await (await app.SendOverRest(stranger, conversation, "let me in", "t1")).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        var missingRest =
            await (await app.SendOverRest(stranger, Guid.NewGuid(), "let me in", "t1")).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");

        Assert.Equal(foreign.Payload.GetRawText(), missing.Payload.GetRawText());
        Assert.Equal("t1", foreign.Text("tempId"));
        Assert.False(foreign.Flag("retryable"));
        Assert.Equal(WithoutTrace(foreignRest), WithoutTrace(missingRest));
        Assert.Empty(await atBob.AllSettled("message.new"));
        Assert.Empty(await app.History(alice, conversation));
    }

    [Fact]
    public async Task A_block_rejects_messages_both_ways_and_nothing_is_delivered_later()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await cluster.Second.Connect(bob);
        var before = await atBob.SendMessage(conversation, "before", "b0");
        await atAlice.NextMessage();

        await atAlice.Block(bob);
        var refused = (await atBob.SendMessage(conversation, "to the one who blocks", "b1")).IsError("BLOCKED");
        (await atAlice.SendMessage(conversation, "to the one blocked", "a1")).IsError("BLOCKED");
        await (await app.SendOverRest(bob, conversation, "over REST")).IsProblem(HttpStatusCode.Forbidden, "BLOCKED");
        var repeat = await atBob.SendMessage(conversation, "before", "b0");

        Assert.Equal("b1", refused.Text("tempId"));
        Assert.Equal(before["message"].GetRawText(), repeat["message"].GetRawText());
        Assert.Single(await app.History(alice, conversation));

        await atAlice.Unblock(bob);
        Assert.Equal(2, (await atBob.SendMessage(conversation, "after", "b2")).Number("message.seq"));
        Assert.Equal("after", (await atAlice.NextMessage()).Text("message.content"));
        Assert.Equal(
            ["before", "after"], (await app.History(bob, conversation)).Select(message => message.Text("content")));
        Assert.Empty(await atBob.AllSettled("message.new"));

        // A rejection is not final: the tempId can still be used.
        Assert.Equal("message.sent", (await atBob.SendMessage(conversation, "to the one who blocks", "b1")).Type);
    }

    public static TheoryData<string, string> GoodContents => new()
    {
        { "a", "a" },
        // Blank lines are trimmed, but the first line keeps its indentation: it may be code.
        { " \t\r\n a b \u3000\u2003 ", " a b" },
        { "  if (x)\n    y();\n\n", "  if (x)\n    y();" },
        { "\u200Ba\u200D", "\u200Ba\u200D" },
        { "\u2028\u0085\fone\n\ntwo", "one\n\ntwo" },
        { new string('x', 4000), new string('x', 4000) },
        { $"\n \n{new string('x', 4000)}  ", new string('x', 4000) },
        { string.Concat(Enumerable.Repeat("😀", 4000)), string.Concat(Enumerable.Repeat("😀", 4000)) },
        { "\"quoted\" \\ <b>&amp;</b> \u202E \u0001 \u007F é e\u0301", "\"quoted\" \\ <b>&amp;</b> \u202E \u0001 \u007F é e\u0301" },
    };

    [Theory]
    [MemberData(nameof(GoodContents))]
    public async Task Valid_content_is_stored_unchanged(string content, string stored)
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);

        var sent = await atAlice.SendMessage(conversation, content);

        Assert.Equal(stored, sent.Text("message.content"));
        Assert.Equal(stored, (await atBob.NextMessage()).Text("message.content"));
        Assert.Equal(stored, Assert.Single(await app.History(bob, conversation)).Text("content"));
    }

    public static TheoryData<string, string> BadFields => new()
    {
        { """{"content":""}""", "content" },
        { """{"content":" \n\u3000 "}""", "content" },
        { """{"content":null}""", "content" },
        // Nothing visible: format characters, fillers, variation selectors, tags, an empty Braille pattern.
        { """{"content":"\u200B\u2060\uFEFF\u00AD"}""", "content" },
        { """{"content":"\u115F\u1160\u3164\uFFA0\u17B4\u180E\u034F"}""", "content" },
        { """{"content":"\uFE0F\uDB40\uDD00\uDB40\uDC41 \u061C\u202E\u0001"}""", "content" },
        { """{"content":"\u2800"}""", "content" },
        { "{}", "content" },
        { """{"content":"a\u0000b"}""", "content" },
        { $$"""{"content":"{{new string('x', 4001)}}"}""", "content" },
        { $$"""{"content":"{{string.Concat(Enumerable.Repeat("😀", 4001))}}"}""", "content" },
        { $$"""{"content":"a","tempId":"{{new string('t', 65)}}"}""", "tempId" },
        { """{"content":"a","tempId":"\u0000"}""", "tempId" },
        { """{"content":"a","type":"image"}""", "type" },
        { """{"content":"a","replyTo":"00000000-0000-0000-0000-000000000001"}""", "replyTo" },
        { """{"content":"a","attachments":[]}""", "attachments" },
        { """{"content":5}""", "content" },
    };

    [Theory]
    [MemberData(nameof(BadFields))]
    public async Task A_field_outside_its_bounds_is_named_in_the_error(string fields, string field)
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        var payload = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(fields)!;

        var overRest = await app.Http(alice).PostAsJsonAsync($"/chat/conversations/{conversation}/messages", payload);
        payload["conversationId"] = JsonSerializer.SerializeToElement(conversation);
        var onSocket = await atAlice.Ask("message.send", payload);

        Assert.False(onSocket.IsError("VALIDATION_ERROR", field).Flag("retryable"));
        await overRest.IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", field);
        Assert.Empty(await app.History(alice, conversation));
    }

    [Fact]
    public async Task The_longest_tempId_and_an_explicit_type_are_accepted()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        var tempId = string.Concat(Enumerable.Repeat("😀", 64));

        var sent = await atAlice.Ask(
            "message.send", new { conversationId = conversation, content = "a", type = "text", tempId, replyTo = (string?)null });

        Assert.Equal(tempId, sent.Text("tempId"));
    }

    [Fact]
    public async Task Too_many_sends_get_a_retry_delay()
    {
        await using var own = await ChatApp.Start(new() { ["Limits:MessagesPerSecond"] = "2" }, fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await own.OpenDirect(alice, bob);
        await using var atAlice = await own.Connect(alice);
        await using var other = await own.Connect(alice);

        for (var i = 0; i < 4; i++)
            Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "in the burst", $"t{i}")).Type);
        var refused = (await atAlice.SendMessage(conversation, "too much", "t4")).IsError("RATE_LIMITED");

        Assert.Equal("t4", refused.Text("tempId"));
        Assert.Equal(500, refused.Number("retryAfterMs"));
        Assert.True(refused.Flag("retryable"));
        Assert.Equal("message.sent", (await other.SendMessage(conversation, "the bound is a connection's", "t5")).Type);

        own.Clock!.Advance(TimeSpan.FromMilliseconds(499));
        Assert.InRange(
            (await atAlice.SendMessage(conversation, "too early", "t4")).IsError("RATE_LIMITED").Number("retryAfterMs"), 1, 2);
        own.Clock.Advance(TimeSpan.FromMilliseconds(2));
        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "as told", "t4")).Type);
        Assert.Equal(6, (await own.History(bob, conversation)).Count);
    }

    [Fact]
    public async Task A_user_has_one_rate_limit_across_all_connections_and_REST()
    {
        await using var own = await ChatApp.Start(new() { ["Limits:MessagesPerSecondPerUser"] = "2" }, fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await own.OpenDirect(alice, bob);
        await using var one = await own.Connect(alice);
        await using var other = await own.Connect(alice);
        await using var atBob = await own.Connect(bob);

        await (await own.SendOverRest(alice, conversation, "in the burst", "t0")).Is(HttpStatusCode.Created);
        foreach (var (client, tempId) in ((SocketClient, string)[])[(one, "t1"), (other, "t2"), (one, "t3")])
            Assert.Equal("message.sent", (await client.SendMessage(conversation, "in the burst", tempId)).Type);

        var refused = (await other.SendMessage(conversation, "too much", "t4")).IsError("RATE_LIMITED");
        Assert.Equal(("t4", 500), (refused.Text("tempId"), refused.Number("retryAfterMs")));
        var response = await own.SendOverRest(alice, conversation, "too much", "t4");
        Assert.Equal("1", response.Headers.GetValues("Retry-After").Single());
        var problem = await response.IsProblem(HttpStatusCode.TooManyRequests, "RATE_LIMITED");
        Assert.Equal((500, true, "t4"), (problem.Number("retryAfterMs"), problem.Flag("retryable"),
            problem.Text("tempId")));
        Assert.Equal("message.sent", (await atBob.SendMessage(conversation, "the bound is a user's", "t5")).Type);

        own.Clock!.Advance(TimeSpan.FromMilliseconds(501));
        await (await own.SendOverRest(alice, conversation, "as told", "t4")).Is(HttpStatusCode.Created);
        Assert.Equal(6, (await own.History(bob, conversation)).Count);
    }

    [Fact]
    public async Task An_idle_user_leaves_nothing_behind()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await own.OpenDirect(alice, bob);
        var rates = own.Services.GetRequiredService<SendRateLimiter>();
        await Eventually.Until("the people of the rehearsals are forgotten", () =>
        {
            // More than once, in case the heartbeat has not started yet.
            own.Clock!.Advance(TimeSpan.FromSeconds(1));
            return rates.Count == 0;
        });

        await using var atAlice = await own.Connect(alice);
        await atAlice.SendMessage(conversation, "once");
        await (await own.SendOverRest(bob, conversation, "once")).Is(HttpStatusCode.Created);
        Assert.Equal(2, rates.Count);

        own.Clock!.Advance(TimeSpan.FromSeconds(1));
        await Eventually.Until("both are forgotten", () => rates.Count == 0);
    }

    private static string WithoutTrace(JsonElement problem) =>
        string.Join(' ', problem.EnumerateObject().Where(field => field.Name != "traceId").Select(field => field.ToString()));
}
