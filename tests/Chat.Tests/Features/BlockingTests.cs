using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class BlockingTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Fact]
    public async Task A_block_freezes_receipts_and_removing_it_sends_them()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);
        foreach (var content in new[] { "one", "two" })
            await atAlice.SendMessage(conversation, content);
        await atBob.Read(conversation, 1);

        await atAlice.Block(bob);
        await atBob.Read(conversation);
        await atBob.Block(alice);
        Assert.Equal(1, await ReadUpTo(bob, seenBy: alice));
        Assert.Equal(2, await ReadUpTo(bob, seenBy: bob));

        await atAlice.Unblock(bob);
        Assert.Equal(1, await ReadUpTo(bob, seenBy: alice));

        await atBob.Unblock(alice);
        Assert.Equal(2, await ReadUpTo(bob, seenBy: alice));

        async Task<long> ReadUpTo(TestUser of, TestUser seenBy) =>
            (await app.Conversation(seenBy, conversation)).List("members")
            .Single(member => member.Id("userId") == of.Id).Number("readUpTo");
    }

    [Fact]
    public async Task A_receipt_racing_a_block_is_either_sent_or_frozen_by_it()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);
        await atAlice.SendMessage(conversation, "one");
        await using var held = await HeldLock.Begin(app);
        await held.Execute($"lock table {app.Services.GetRequiredService<TableNames>().Block} in share mode");

        // The block has frozen bob's cursors and is not committed yet.
        var block = atAlice.Block(bob);
        await held.IsWaitedFor();
        var read = atBob.Read(conversation);
        await Eventually.Until("the receipt is through, or waits for the block", () => read.IsCompleted || held.IsWaitedForInTurn());
        await held.Release();
        await Task.WhenAll(block, read);

        var told = (await atAlice.AllSettled("message.read_update")).Select(frame => frame.Number("upTo")).LastOrDefault();
        var shown = (await app.Conversation(alice, conversation)).List("members")
            .Single(member => member.Id("userId") == bob.Id).Number("readUpTo");
        Assert.Equal(told, shown);
    }

    [Fact]
    public async Task Blocking_notifies_only_the_blockers_other_connections()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var alsoAlice = await app.Connect(alice);
        await using var aliceElsewhere = await cluster.Second.Connect(alice);
        await using var atBob = await app.Connect(bob);
        await using var bobElsewhere = await cluster.Second.Connect(bob);

        var added = await atAlice.Block(bob);
        var removed = await atAlice.Unblock(bob);

        Assert.Equal("block.added", added.Type);
        Assert.Equal(["userId", "blockedAt"], added.Payload.EnumerateObject().Select(field => field.Name));
        Assert.Equal(bob.Id, added.Id("userId"));
        Assert.Equal("block.removed", removed.Type);
        Assert.Equal(["userId"], removed.Payload.EnumerateObject().Select(field => field.Name));
        foreach (var other in new[] { alsoAlice, aliceElsewhere })
        {
            Assert.Equal(added.Payload.GetRawText(), (await other.Next("block.added")).Payload.GetRawText());
            Assert.Equal(removed.Payload.GetRawText(), (await other.Next("block.removed")).Payload.GetRawText());
        }

        Assert.Single(await atAlice.AllSettled("block.added"));
        Assert.Single(atAlice.All("block.removed"));

        // A later message both ways: anything sent to the blocked user would have arrived before it.
        await atAlice.SendMessage(conversation, "marker");
        foreach (var device in new[] { atBob, bobElsewhere })
        {
            await device.NextMessage();
            Assert.DoesNotContain(device.Frames, frame => frame.Type.StartsWith("block", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_user_can_be_named_by_username()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser($"Bob-{Guid.NewGuid():N}"));
        await using var atBob = await app.Connect(bob);
        await using var atAlice = await app.Connect(alice);
        var name = bob.Username.ToUpperInvariant();

        var added = await atAlice.Ask("block.add", new { username = name });
        Assert.Equal([bob.Id], await app.Blocks(alice));
        var removed = await atAlice.Ask("block.remove", new { username = name });

        Assert.Equal((bob.Id, name), (added.Id("userId"), added.Text("username")));
        Assert.Equal((bob.Id, name), (removed.Id("userId"), removed.Text("username")));
        Assert.Empty(await app.Blocks(alice));
    }

    [Fact]
    public async Task Blocking_twice_and_blocking_an_unknown_user_get_the_same_answer()
    {
        var (alice, bob, nobody) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);

        var first = await atAlice.Block(bob);
        var second = await atAlice.Block(bob);
        var unknown = await atAlice.Block(nobody);
        var removed = await atAlice.Unblock(bob);
        var removedAgain = await atAlice.Unblock(bob);
        var removedStranger = await atAlice.Unblock(ChatApp.NewUser());

        Assert.Equal(first.Payload.GetRawText(), second.Payload.GetRawText());
        Assert.Equal(FieldsOf(first), FieldsOf(unknown));
        Assert.Equal(removed.Payload.GetRawText(), removedAgain.Payload.GetRawText());
        Assert.Equal(FieldsOf(removed), FieldsOf(removedStranger));
        Assert.Equal([nobody.Id], await app.Blocks(alice));
    }

    [Fact]
    public async Task Two_users_can_block_each_other_independently()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await cluster.Second.Connect(bob);

        await atAlice.Block(bob);
        Assert.Equal("block.added", (await atBob.Block(alice)).Type);
        await atAlice.Unblock(bob);
        (await atAlice.SendMessage(conversation, "still blocked")).IsError("BLOCKED");
        (await atBob.SendMessage(conversation, "still blocked")).IsError("BLOCKED");
        await atBob.Unblock(alice);

        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "free")).Type);
    }

    [Fact]
    public async Task Two_concurrent_devices_create_one_block()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var here = await app.Connect(alice);
        await using var there = await cluster.Second.Connect(alice);

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => (i % 2 == 0 ? here : there).Block(bob)));

        Assert.All(answers, answer => Assert.Equal("block.added", answer.Type));
        Assert.Equal([bob.Id], await app.Blocks(alice));
    }

    [Fact]
    public async Task An_invalid_username_is_rejected()
    {
        var alice = ChatApp.NewUser();
        await using var atAlice = await app.Connect(alice);

        foreach (var type in new[] { "block.add", "block.remove" })
        {
            (await atAlice.Ask(type, new { username = $"nobody-{Guid.NewGuid():N}" })).IsError("NOT_FOUND");
            (await atAlice.Ask(type, new { username = "" })).IsError("VALIDATION_ERROR", "username");
            (await atAlice.Ask(type, new { userId = Guid.Empty })).IsError("VALIDATION_ERROR", "userId");
            (await atAlice.Ask(type, new { userId = 5 })).IsError("VALIDATION_ERROR", "userId");
            (await atAlice.Ask(type, new { })).IsError("VALIDATION_ERROR", "userId");
        }

        (await atAlice.Block(alice)).IsError("VALIDATION_ERROR", "userId");
        await (await app.Http(alice).PutAsync($"/chat/blocks/{alice.Id}", null)).IsProblem(
            HttpStatusCode.BadRequest, "VALIDATION_ERROR", "userId");
        Assert.Empty(await app.Blocks(alice));
    }

    [Fact]
    public async Task REST_blocks_like_the_socket()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await cluster.Second.Connect(alice);

        var added = await (await app.Http(alice).PutAsync($"/chat/blocks/{bob.Id}", null)).Is(HttpStatusCode.OK);
        var again = await (await app.Http(alice).PutAsync($"/chat/blocks/{bob.Id}", null)).Is(HttpStatusCode.OK);
        await (await app.Http(alice).PutAsync($"/chat/blocks/{carol.Id}", null)).Is(HttpStatusCode.OK);
        var list = await app.Http(alice).GetFromJsonAsync<JsonElement>("/chat/blocks");
        var removed = await (await app.Http(alice).DeleteAsync($"/chat/blocks/{bob.Id}")).Is(HttpStatusCode.OK);
        var removedAgain = await (await app.Http(alice).DeleteAsync($"/chat/blocks/{bob.Id}")).Is(HttpStatusCode.OK);

        Assert.Equal(added.GetRawText(), again.GetRawText());
        Assert.Equal(removed.GetRawText(), removedAgain.GetRawText());
        Assert.Equal(bob.Id, removed.Id("userId"));
        var blocks = list.List("blocks");
        Assert.Equal(2, blocks.Length);
        Assert.Equal(added.GetRawText(), blocks.Single(block => block.Id("userId") == bob.Id).GetRawText());
        Assert.Equal([carol.Id], await cluster.Second.Blocks(alice));
        Assert.Empty(await app.Blocks(bob));
        Assert.Equal(added.GetRawText(), (await atAlice.Next("block.added")).Payload.GetRawText());
        Assert.Equal(bob.Id, (await atAlice.Next("block.removed")).Id("userId"));
        await (await app.Http(alice).PutAsync("/chat/blocks/no-id", null)).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        await (await app.Http().GetAsync("/chat/blocks")).IsProblem(HttpStatusCode.Unauthorized, "UNAUTHORIZED");
    }

    [Fact]
    public async Task History_remains_readable()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await app.SendOverRest(alice, conversation, "before");
        await app.Http(alice).PutAsync($"/chat/blocks/{bob.Id}", null);

        foreach (var member in new[] { alice, bob })
        {
            Assert.Single(await app.History(member, conversation));
            Assert.Equal(1, (await app.Conversation(member, conversation)).Number("seq"));
            Assert.Single((await app.ConversationPage(member)).List("conversations"));
        }
    }

    private static IEnumerable<string> FieldsOf(Received frame) =>
        frame.Payload.EnumerateObject().Select(field => field.Name).Prepend(frame.Type);
}
