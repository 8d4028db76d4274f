using System.Collections.Concurrent;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Marten;
using Marten.Services;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Storage;

public sealed class ConversationLogTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Fact]
    public async Task A_hundred_writers_on_two_nodes_get_gapless_unique_sequence_numbers()
    {
        await using var second = await app.StartNode();
        var logs = new[] { LogCapture.Of(app), LogCapture.Of(second) };
        var conversations = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => NewConversation()));
        var appended = new ConcurrentBag<Appended>();
        var committed = conversations.ToDictionary(
            conversation => conversation, _ => new[] { new ConcurrentQueue<long>(), new ConcurrentQueue<long>() });

        await Task.WhenAll(Enumerable.Range(0, 100).Select(async writer =>
        {
            var node = writer % 2;
            var log = LogOf(node == 0 ? app : second);
            for (var i = 0; i < 20; i++)
            {
                var conversation = conversations[((writer * 7) + i) % conversations.Length];
                appended.Add(await log.AppendAsync(Draft(conversation), message => committed[conversation][node].Enqueue(message.Seq)));
            }
        })).WaitAsync(Eventually.Timeout);

        Assert.All(appended, answer => Assert.Equal(AppendOutcome.Stored, answer.Outcome));
        foreach (var conversation in conversations)
        {
            Assert.Equal(UpTo(100), await NumbersOf(conversation));
            Assert.All(committed[conversation], own => Assert.Equal(own.Order(), own));
            Assert.Equal(UpTo(100), committed[conversation].SelectMany(own => own).Order());
        }

        Assert.Empty(logs.SelectMany(log => log.Of<ConversationLog>()));
    }

    [Fact]
    public async Task An_invalid_draft_fails_alone_in_its_batch()
    {
        var logs = LogCapture.Of(app);
        var conversation = await NewConversation();
        List<Task<Appended>> good;
        Task<Appended> bad;
        Task<Appended>[] nowhere;
        await using (var held = await HeldLock.OfHead(app, conversation))
        {
            good = [Append(conversation)];
            await held.IsWaitedFor();

            // All of these wait for the first one's commit and so form one batch.
            good.AddRange([Append(conversation), Append(conversation)]);
            bad = Append(conversation, "a\0b");
            nowhere = [.. Enumerable.Range(0, 8).Select(_ => Append(Guid.NewGuid()))];
            good.AddRange([Append(conversation), Append(conversation)]);
            await held.Release();
        }

        var stored = await Task.WhenAll(good).WaitAsync(Eventually.Timeout);

        Assert.All(stored, answer => Assert.Equal(AppendOutcome.Stored, answer.Outcome));
        Assert.Equal(UpTo(5), stored.Select(answer => answer.Message!.Seq));
        await Assert.ThrowsAnyAsync<Exception>(() => bad.WaitAsync(Eventually.Timeout));
        Assert.All(await Task.WhenAll(nowhere).WaitAsync(Eventually.Timeout),
            answer => Assert.Equal(new Appended(AppendOutcome.NoConversation, null), answer));
        Assert.Equal(UpTo(5), await NumbersOf(conversation));
        Assert.Contains(logs.Of<ConversationLog>(), line => line.Contains("tried one by one", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_full_queue_rejects_at_once_and_keeps_queued_drafts()
    {
        await using var small = await ChatApp.Start(new() { ["Limits:LogQueue"] = "4" });
        var conversation = await NewConversation(small);
        var committed = new List<long>();
        Task<Appended>[] taken;
        await using (var held = await HeldLock.OfHead(small, conversation))
        {
            var first = Append(conversation, on: small);
            await held.IsWaitedFor();
            taken = [first, .. Enumerable.Range(0, 4).Select(_ => Append(conversation, on: small))];

            var refused = Append(conversation, on: small, committed: _ => committed.Add(-1));

            Assert.True(refused.IsCompletedSuccessfully);
            Assert.Equal(AppendOutcome.Unavailable, (await refused).Outcome);
            await held.Release();
        }

        Assert.Equal(UpTo(5), (await Task.WhenAll(taken).WaitAsync(Eventually.Timeout)).Select(answer => answer.Message!.Seq));
        Assert.Equal(6, (await Append(conversation, on: small)).Message!.Seq);
        Assert.Empty(committed);
    }

    [Fact]
    public async Task A_full_queue_is_answered_UNAVAILABLE()
    {
        await using var small = await ChatApp.Start(new() { ["Limits:LogQueue"] = "1" }, fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await small.OpenDirect(alice, bob);
        await using var first = await small.Connect(alice);
        await using var second = await small.Connect(alice);
        await using var third = await small.Connect(alice);
        Task<Received> inHand, waiting;
        await using (var held = await HeldLock.OfHead(small, conversation))
        {
            inHand = first.SendMessage(conversation, "in hand", "t1");
            await held.IsWaitedFor();

            // The queue has room for one of these two, whichever comes first.
            Task<Received>[] both = [second.SendMessage(conversation, "waiting", "t2"), third.SendMessage(conversation, "waiting", "t3")];
            var refused = await Task.WhenAny(both);
            waiting = both.Single(other => other != refused);

            Assert.True((await refused).IsError("UNAVAILABLE")["retryable"].GetBoolean());
            Assert.Equal(refused == both[0] ? "t2" : "t3", (await refused)["tempId"].GetString());
            await held.Release();
        }

        Assert.Equal("message.sent", (await inHand).Type);
        Assert.Equal("message.sent", (await waiting).Type);
        Assert.Equal(
            ["in hand", "waiting"], (await small.History(bob, conversation)).Select(message => message.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task The_commit_callback_runs_in_sequence_and_before_the_reply()
    {
        var conversation = await NewConversation();
        var order = new List<long>();
        var late = 0;
        Task<Appended>[] all;
        await using (var held = await HeldLock.OfHead(app, conversation))
        {
            all = [.. Enumerable.Range(0, 600).Select(_ =>
            {
                Task<Appended>? own = null;
                own = Append(conversation, committed: message =>
                {
                    order.Add(message.Seq);
                    late += own is { IsCompleted: true } ? 1 : 0;
                });
                return own;
            })];
            await held.IsWaitedFor();
            await held.Release();
        }

        var answers = await Task.WhenAll(all).WaitAsync(Eventually.Timeout);

        Assert.Equal(UpTo(600), order);
        Assert.Equal(UpTo(600), answers.Select(answer => answer.Message!.Seq));
        Assert.Equal(0, late);
    }

    [Fact]
    public async Task A_retry_in_the_same_batch_is_a_duplicate()
    {
        var conversation = await NewConversation();
        var draft = Draft(conversation);
        var committed = 0;
        Task<Appended> before, first, second;
        await using (var held = await HeldLock.OfHead(app, conversation))
        {
            before = Append(conversation);
            await held.IsWaitedFor();
            first = LogOf(app).AppendAsync(draft, _ => committed++);
            second = LogOf(app).AppendAsync(draft with { Content = "other" }, _ => committed++);
            await held.Release();
        }

        Assert.Equal(AppendOutcome.Stored, (await before.WaitAsync(Eventually.Timeout)).Outcome);
        Assert.Equal(AppendOutcome.Stored, (await first.WaitAsync(Eventually.Timeout)).Outcome);
        var repeated = await second.WaitAsync(Eventually.Timeout);
        Assert.Equal((AppendOutcome.Repeated, "hello"), (repeated.Outcome, repeated.Message!.Content));
        Assert.Equal(1, committed);
        Assert.Equal(UpTo(2), await NumbersOf(conversation));
    }

    [Fact]
    public async Task A_connection_lost_during_a_batch_loses_no_message()
    {
        var logs = LogCapture.Of(app);
        var conversation = await NewConversation();
        var committed = new List<long>();
        Task<Appended> append;
        await using (var held = await HeldLock.OfHead(app, conversation))
        {
            append = Append(conversation, committed: message => committed.Add(message.Seq));
            await held.IsWaitedFor();
            held.BreakWaiting();
            await held.IsWaitedFor();
            await held.Release();
        }

        Assert.Equal(AppendOutcome.Stored, (await append.WaitAsync(Eventually.Timeout)).Outcome);
        Assert.Equal([1], committed);
        Assert.Equal(UpTo(1), await NumbersOf(conversation));
        Assert.DoesNotContain(logs.Of<ConversationLog>(), line => line.Contains("UNAVAILABLE", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_message_committed_by_a_broken_connection_counts_as_stored()
    {
        var conversation = await NewConversation();
        var draft = Draft(conversation);
        var committed = new List<long>();
        await using var message = await HeldLock.Begin(app);
        await using var head = await HeldLock.Begin(app);

        // Simulates a commit whose reply was lost: the log's own insert waits for this one, which has its id.
        var stored = new Message
        {
            Id = draft.Id,
            ConversationId = conversation,
            Seq = 1,
            ChangedSeq = 1,
            SenderId = draft.SenderId,
            Type = draft.Type,
            Content = draft.Content,
            SentAt = DateTimeOffset.UnixEpoch,
        };
        await Save(message, session => session.Insert(stored));
        var append = LogOf(app).AppendAsync(draft, first => committed.Add(first.Seq));
        await message.IsWaitedFor();
        var headLocked = head.LockHead(conversation);
        await head.Waits();
        message.BreakWaiting();
        await headLocked.WaitAsync(Eventually.Timeout);
        await Save(head, session =>
            session.Update(new ConversationHead { Id = conversation, Seq = 1, LastMessageId = draft.Id, UpdatedAt = stored.SentAt }));
        await message.Commit();
        await head.Commit();

        var answer = await append.WaitAsync(Eventually.Timeout);

        Assert.Equal((AppendOutcome.Stored, stored), (answer.Outcome, answer.Message!));
        Assert.Equal([1], committed);
        Assert.Equal(AppendOutcome.Repeated, (await LogOf(app).AppendAsync(draft, _ => committed.Add(-1))).Outcome);
        Assert.Equal([1], committed);
        Assert.Equal(UpTo(1), await NumbersOf(conversation));
    }

    [Fact]
    public async Task A_rejected_item_of_a_retried_batch_fails_alone_and_the_loop_continues()
    {
        var conversation = await NewConversation();
        Task<Appended> first, bad, good;
        await using (var next = await HeldLock.Begin(app))
        {
            Task lockedNext;
            await using (var held = await HeldLock.OfHead(app, conversation))
            {
                first = Append(conversation);
                await held.IsWaitedFor();
                lockedNext = next.LockHead(conversation);
                await next.Waits();
                bad = Append(conversation, "a\0b");
                good = Append(conversation);
                await held.Release();
            }

            // Now both are in one batch, whose connection breaks; so the invalid one is found on the second attempt.
            await lockedNext.WaitAsync(Eventually.Timeout);
            await next.IsWaitedFor();
            next.BreakWaiting();
            await next.Release();
        }

        Assert.Equal(1, (await first.WaitAsync(Eventually.Timeout)).Message!.Seq);
        Assert.Equal(2, (await good.WaitAsync(Eventually.Timeout)).Message!.Seq);
        await Assert.ThrowsAnyAsync<Exception>(() => bad.WaitAsync(Eventually.Timeout));
        Assert.Equal(3, (await Append(conversation).WaitAsync(Eventually.Timeout)).Message!.Seq);
        Assert.Equal(UpTo(3), await NumbersOf(conversation));
    }

    [Fact]
    public async Task A_hanging_database_is_answered_within_five_seconds()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await own.OpenDirect(alice, bob);
        await using var atAlice = await own.Connect(alice);
        await using (var held = await HeldLock.OfHead(own, conversation))
        {
            var sending = atAlice.SendMessage(conversation, "now", "t1");
            await held.IsWaitedFor();
            own.Clock!.Advance(TimeSpan.FromSeconds(5));

            var refused = await sending;
            refused.IsError("UNAVAILABLE");
            Assert.Equal("t1", refused["tempId"].GetString());
            await held.Release();
        }

        Assert.Equal(1, (await atAlice.SendMessage(conversation, "now", "t1"))["message.seq"].GetInt64());
    }

    [Fact]
    public async Task Drafts_behind_a_hanging_batch_are_answered_within_their_own_deadline()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var conversation = await NewConversation(own);
        await using var held = await HeldLock.OfHead(own, conversation);
        var first = Append(conversation, on: own);
        await held.IsWaitedFor();
        own.Clock!.Advance(TimeSpan.FromSeconds(0.5));
        var stale = Append(conversation, on: own);
        own.Clock.Advance(TimeSpan.FromSeconds(1));
        var fresh = Append(conversation, on: own);

        own.Clock.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(AppendOutcome.Unavailable, (await first.WaitAsync(Eventually.Timeout)).Outcome);
        Assert.Equal(AppendOutcome.Unavailable, (await stale.WaitAsync(Eventually.Timeout)).Outcome);
        await held.IsWaitedFor();
        Assert.False(fresh.IsCompleted);
        await held.Release();

        // The abandoned one may have been stored first.
        Assert.Equal(AppendOutcome.Stored, (await fresh.WaitAsync(Eventually.Timeout)).Outcome);
    }

    private static ConversationLog LogOf(ChatApp app) => app.Services.GetRequiredService<ConversationLog>();

    private static MessageDraft Draft(Guid conversation, string content = "hello") =>
        new(Guid.CreateVersion7(), conversation, Guid.NewGuid(), SendMessage.Text, content, null, []);

    private static IEnumerable<long> UpTo(int last) => Enumerable.Range(1, last).Select(number => (long)number);

    private static async Task Save(HeldLock within, Action<IDocumentSession> change)
    {
        await using var session =
            within.App.Services.GetRequiredService<IDocumentStore>().OpenSession(SessionOptions.ForTransaction(within.Transaction));
        change(session);
        await session.SaveChangesAsync();
    }

    private Task<Appended> Append(Guid conversation, string content = "hello", ChatApp? on = null, Action<Message>? committed = null) =>
        LogOf(on ?? app).AppendAsync(Draft(conversation, content), committed ?? (_ => { }));

    private Task<Guid> NewConversation(ChatApp? on = null) => (on ?? app).OpenDirect(ChatApp.NewUser(), ChatApp.NewUser());

    private async Task<IReadOnlyList<long>> NumbersOf(Guid conversation)
    {
        await using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            $"select seq from {app.Services.GetRequiredService<TableNames>().Message} where conversation_id = $1 order by seq");
        command.Parameters.Add(new() { Value = conversation });
        await using var reader = await command.ExecuteReaderAsync();
        var numbers = new List<long>();
        while (await reader.ReadAsync())
            numbers.Add(reader.GetInt64(0));
        return numbers;
    }
}
