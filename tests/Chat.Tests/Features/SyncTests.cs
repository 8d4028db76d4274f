using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed class SyncTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Missed_changes_are_returned_in_order_and_nothing_else()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, conversation, 5);
        await using var atBob = await app.Connect(bob);

        var parts = await atBob.Sync(new Dictionary<Guid, long> { [conversation] = 2 });

        Assert.Equal(["sync.conversation", "sync.done"], parts.Select(part => part.Type));
        Assert.Equal([3, 4, 5], parts[0].Numbers());
        Assert.Equal(5, parts[0].Number("conversation.seq"));
        Assert.False(parts[0].Flag("hasMore"));
        Assert.False(parts[0]["messages"][0].Has("tempId"));
        Assert.Equal(1, parts[1].Number("conversations"));
    }

    [Fact]
    public async Task A_client_that_missed_nothing_gets_only_sync_done()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, conversation, 3);

        var parts = await atAlice.Sync(new Dictionary<Guid, long> { [conversation] = 3 });

        Assert.Equal(0, Assert.Single(parts).Number("conversations"));
    }

    [Fact]
    public async Task Syncs_by_ranges_of_ids_add_up_to_a_full_sync()
    {
        await using var atAlice = await app.Connect(alice);
        var conversations = new List<Guid>();
        for (var i = 0; i < 9; i++)
            conversations.Add(await app.OpenDirect(alice, ChatApp.NewUser()));
        foreach (var conversation in conversations)
            await Say(atAlice, conversation, 2);
        // Compared as text, as clients sort them.
        conversations.Sort((one, other) => string.CompareOrdinal(one.ToString(), other.ToString()));
        var (known, isNew) = (conversations.Where((_, i) => i % 3 != 1).ToArray(), conversations.Where((_, i) => i % 3 == 1));
        await using var other = await app.Connect(alice);

        var found = new List<(Guid Id, int Messages)>();
        foreach (var part in known.Chunk(2))
        {
            var after = part[0] == known[0] ? null as Guid? : known[Array.IndexOf(known, part[0]) - 1];
            var until = part[^1] == known[^1] ? null as Guid? : part[^1];
            var parts = await other.Sync(part.ToDictionary(id => id, _ => 1L), after, until);
            Assert.Equal(parts.Count - 1, parts[^1].Number("conversations"));
            found.AddRange(parts.SkipLast(1).Select(one => (one.Id("conversation.id"), one.Numbers().Length)));
        }

        Assert.Equal(
            known.Select(id => (id, 1)).Concat(isNew.Select(id => (id, 2))).OrderBy(one => one.id),
            found.OrderBy(one => one.Id));
    }

    [Fact]
    public async Task A_sync_returns_unknown_conversations_in_full_even_empty_ones()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atBob = await app.Connect(bob);

        var parts = await atBob.Sync(new { });

        Assert.Equal(conversation, parts[0].Id("conversation.id"));
        Assert.Empty(parts[0].Numbers());
    }

    [Fact]
    public async Task A_truncated_conversation_is_continued_from_the_last_number()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, conversation, 450);
        await using var atBob = await app.Connect(bob);

        var numbers = new List<long>();
        Received part;
        do
        {
            part = (await atBob.Sync(new Dictionary<Guid, long> { [conversation] = numbers.LastOrDefault() }))[0];
            numbers.AddRange(part.Numbers());
        }
        while (part.Flag("hasMore"));

        Assert.Equal(Enumerable.Range(1, 450).Select(number => (long)number), numbers);
    }

    [Fact]
    public async Task Long_messages_make_smaller_parts_and_none_is_lost()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        foreach (var _ in Enumerable.Range(0, 40))
            await atAlice.SendMessage(conversation, new string('漢', 4000));
        await using var atBob = await app.Connect(bob);

        var first = (await atBob.Sync(new { }))[0];
        var second = (await atBob.Sync(new Dictionary<Guid, long> { [conversation] = first.Numbers()[^1] }))[0];

        Assert.True(first.Flag("hasMore"));
        Assert.Equal(first.Numbers()[^1] + 1, second.Numbers()[0]);
    }

    [Fact]
    public async Task Pushed_changes_are_not_synced_again()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, conversation, 2);
        await using var atBob = await app.Connect(bob);
        await Say(atAlice, conversation, 2);
        await atBob.Settle();

        var part = (await atBob.Sync(new { }))[0];

        Assert.Equal([1, 2], part.Numbers());
        Assert.Equal([3, 4], Pushed(atBob));
    }

    [Fact]
    public async Task Changes_during_a_sync_are_neither_lost_nor_duplicated()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        var saying = Say(atAlice, conversation, 300);
        await using var atBob = await app.Connect(bob);

        var synced = new List<long>();
        while (!saying.IsCompleted)
        {
            foreach (var part in (await atBob.Sync(
                new Dictionary<Guid, long> { [conversation] = Contiguous(synced.Concat(Pushed(atBob))) })).SkipLast(1))
                synced.AddRange(part.Numbers());
        }

        await saying;
        await atBob.Settle();
        foreach (var part in (await atBob.Sync(
            new Dictionary<Guid, long> { [conversation] = Contiguous(synced.Concat(Pushed(atBob))) })).SkipLast(1))
            synced.AddRange(part.Numbers());
        Assert.Equal(Enumerable.Range(1, 300).Select(number => (long)number), synced.Concat(Pushed(atBob)).Order());
    }

    [Fact]
    public async Task Another_node_answers_the_same()
    {
        await using var other = await app.StartNode();
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, conversation, 3);
        await using var atBob = await other.Connect(bob);

        var parts = await atBob.Sync(new Dictionary<Guid, long> { [conversation] = 1 });

        Assert.Equal([2, 3], parts[0].Numbers());
    }

    [Fact]
    public async Task A_sync_of_many_conversations_is_complete_however_slowly_the_client_reads()
    {
        await using var atAlice = await app.Connect(alice);
        var others = Enumerable.Range(0, 50).Select(_ => ChatApp.NewUser()).ToArray();
        foreach (var other in others)
        {
            var conversation = await app.OpenDirect(other, alice);
            await using var atOther = await app.Connect(other);
            await Task.WhenAll(Enumerable.Range(0, 20).Select(number => atOther.SendMessage(conversation, $"{number}")));
        }

        await using var again = await app.Connect(alice);
        var parts = await again.Sync(new { });

        Assert.Equal(50, parts[^1].Number("conversations"));
        Assert.Equal(1000, parts.SkipLast(1).Sum(part => part.Numbers().Length));
    }

    [Theory]
    [InlineData("""{"conversations":{"not an id":1}}""")]
    [InlineData("""{"conversations":{"7a3c3a52-9f6e-4b8e-8f55-6f6a0b9d2f11":-1}}""")]
    [InlineData("""{"conversations":{"7a3c3a52-9f6e-4b8e-8f55-6f6a0b9d2f11":99999999999999999999}}""")]
    [InlineData("""{"conversations":{"7a3c3a52-9f6e-4b8e-8f55-6f6a0b9d2f11":"1"}}""")]
    [InlineData("""{"conversations":{"7a3c3a52-9f6e-4b8e-8f55-6f6a0b9d2f11":1,"7a3c3a52-9f6e-4b8e-8f55-6f6a0b9d2f11":2}}""")]
    [InlineData("""{"conversations":[]}""")]
    [InlineData("""{"conversations":null}""")]
    [InlineData("{}")]
    public async Task Impossible_numbers_are_rejected(string payload)
    {
        await using var client = await app.Connect(alice);
        await client.SendText($$"""{"type":"sync","id":"s","payload":{{payload}}}""");

        Assert.Equal("VALIDATION_ERROR", (await client.ReplyTo("s")).Text("code"));
    }

    [Fact]
    public async Task Unknown_foreign_and_future_numbers_reveal_nothing()
    {
        var (carol, dave) = (ChatApp.NewUser(), ChatApp.NewUser());
        var (own, foreign) = (await app.OpenDirect(alice, bob), await app.OpenDirect(carol, dave));
        await using var atAlice = await app.Connect(alice);
        await Say(atAlice, own, 1);

        var parts = await atAlice.Sync(new Dictionary<Guid, long> { [own] = long.MaxValue, [foreign] = 0, [Guid.NewGuid()] = 0 });

        Assert.Equal("sync.done", Assert.Single(parts).Type);
    }

    private static async Task Say(SocketClient client, Guid conversation, int messages)
    {
        for (var i = 0; i < messages; i++)
            Assert.Equal("message.sent", (await client.SendMessage(conversation, $"message {i}", $"t{Guid.NewGuid():N}")).Type);
    }

    private static long[] Pushed(SocketClient client) =>
        [.. client.Frames.Where(frame => frame.Type == "message.new").Select(frame => frame.Number("message.changedSeq"))];

    // How far a client has come without a gap: what it may report as seen.
    private static long Contiguous(IEnumerable<long> numbers)
    {
        var has = numbers.ToHashSet();
        var last = 0L;
        while (has.Contains(last + 1))
            last++;
        return last;
    }
}
