using System.Net;
using System.Text;
using Chat.Features;
using Chat.RateLimiting;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Shares;

/// <summary>No frame or call grows with the amount of data, and latencies of rejections reveal nothing.</summary>
public sealed class BoundedCostTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private const int MaxFrame = 256 * 1024;
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Statuses_are_split_into_frames_and_limited_to_the_latest_contacts()
    {
        await Meet(alice, 1010);
        await using var client = await app.Connect(alice);
        var parts = new List<Received>();
        do
            parts.Add(await client.Next("status.bulk"));
        while (parts[^1].Has("more"));

        Assert.Equal([200, 200, 200, 200, 200], parts.Select(part => part.List("users").Length));
        Assert.Equal(1000, parts.SelectMany(part => part.List("users")).Select(user => user.Id("userId"))
            .Distinct().Count());
        Assert.All(parts.SkipLast(1), part => Assert.True(part.Flag("more")));
    }

    [Fact]
    public async Task A_user_without_contacts_gets_one_empty_status_list()
    {
        await using var client = await app.Connect(alice);

        var bulk = await client.Next("status.bulk");

        Assert.Empty(bulk.List("users"));
        Assert.False(bulk.Has("more"));
    }

    [Fact]
    public async Task Parts_of_a_sync_are_limited_by_size_and_complete_together()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        var emoji = string.Concat(Enumerable.Repeat("😀", 4000));
        for (var i = 0; i < 45; i++)
            await atAlice.SendMessage(conversation, emoji);
        await atAlice.SendMessage(conversation, "the last one");
        await using var atBob = await app.Connect(bob);

        var numbers = new List<long>();
        Received part;
        do
        {
            part = (await atBob.Sync(new Dictionary<Guid, long> { [conversation] = numbers.LastOrDefault() }))[0];
            Assert.InRange(Encoding.UTF8.GetByteCount(part.Payload.GetRawText()), 1, MaxFrame);
            numbers.AddRange(part.Numbers());
        }
        while (part.Flag("hasMore"));

        Assert.Equal(Enumerable.Range(1, 46).Select(number => (long)number), numbers);
    }

    [Fact]
    public async Task Concurrent_syncs_of_several_devices_are_each_complete()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        for (var i = 0; i < 30; i++)
            await atAlice.SendMessage(conversation, new string('x', 4000));
        var devices = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => app.Connect(bob)));

        var answers = await Task.WhenAll(devices.Select(device => device.Sync(new { })));

        Assert.All(answers, parts => Assert.Equal(30, parts[0].Numbers().Length));
        foreach (var device in devices)
            await device.DisposeAsync();
    }

    [Fact]
    public async Task An_update_names_the_last_hundred_messages_and_counts_all()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        for (var i = 0; i < 150; i++)
            await atAlice.SendMessage(conversation, $"{i}");
        await using var atBob = await app.Connect(bob);

        var ack = await atBob.Read(conversation);
        var update = await atAlice.Next("message.read_update");

        Assert.Equal((150, 150), (ack.Number("markedCount"), update.Number("upTo")));
        var named = update.List("messageIds").Select(id => id.GetGuid()).ToArray();
        var history = (await app.History(alice, conversation)).Select(message => message.Id("id")).ToArray();
        Assert.Equal(history.TakeLast(100), named.TakeLast(history.TakeLast(100).Count()));
        Assert.Equal(100, named.Length);
    }

    [Fact]
    public async Task The_cache_answers_only_members_so_that_rejections_take_the_same_path()
    {
        var stranger = ChatApp.NewUser();
        var conversation = await app.OpenDirect(alice, bob);
        await app.History(alice, conversation);
        await using var held = await HeldLock.Begin(app);
        await held.Execute($"lock table {app.Services.GetRequiredService<TableNames>().Member} in access exclusive mode");

        // In the cache; and nonexistent.
        var (foreign, missing) = (Read(stranger, conversation), Read(stranger, Guid.NewGuid()));
        await held.IsWaitedFor(2);
        Assert.Equal(HttpStatusCode.OK, (await Read(alice, conversation)).StatusCode);
        await held.Release();

        foreach (var refused in (HttpResponseMessage[])[await foreign, await missing])
            await refused.IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
    }

    [Fact]
    public async Task Conversations_with_unknown_users_are_limited_and_the_limit_looks_like_an_unknown_user()
    {
        await using var strict = await ChatApp.Start(new() { [$"Limits:{nameof(Limits.MaxUnknownContacts)}"] = "2" });
        var (first, second) = (ChatApp.NewUser(), ChatApp.NewUser());
        await strict.OpenDirect(alice, first);
        await strict.OpenDirect(alice, second);

        var byId =
            await (await strict.AskForDirect(alice, new { userId = Guid.NewGuid() })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        var byName = await (await strict.AskForDirect(alice, new { username = $"nobody-{Guid.NewGuid():N}" })).IsProblem(
            HttpStatusCode.NotFound, "NOT_FOUND");
        // Nor does the caller's own block reveal whether a user exists.
        var nobody = Guid.NewGuid();
        await strict.Http(alice).PutAsync($"/chat/blocks/{nobody}", null);
        var blocked = await (await strict.AskForDirect(alice, new { userId = nobody })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        Assert.Single(new[] { byId, byName, blocked }.Select(problem => problem.Text("detail")).Distinct());

        // Existing conversations are found; once the user has signed in, they are known and no longer count.
        await strict.OpenDirect(alice, first);
        await strict.SignIn(second.Id);
        await strict.OpenDirect(alice, ChatApp.NewUser());
        await (await strict.AskForDirect(alice, new { userId = Guid.NewGuid() })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
    }

    [Fact]
    public async Task With_a_limit_of_zero_only_users_who_have_signed_in_can_be_contacted()
    {
        await using var strict = await ChatApp.Start(new() { [$"Limits:{nameof(Limits.MaxUnknownContacts)}"] = "0" });
        await (await strict.AskForDirect(alice, new { userId = bob.Id })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");

        await strict.SignIn(bob.Id);

        await strict.OpenDirect(alice, bob);
    }

    [Fact]
    public async Task Unblocking_a_user_who_is_not_blocked_notifies_nobody()
    {
        await using var audited = await ChatApp.Start(
            new() { ["Logging:LogLevel:Chat.Audit"] = "Information", ["Logging:Console:LogLevel:Chat.Audit"] = "None" });
        await using var one = await audited.Connect(alice);
        await using var other = await audited.Connect(alice);
        var log = LogCapture.Of(audited, LogLevel.Information);

        Assert.Equal("block.removed", (await one.Unblock(bob)).Type);

        Assert.Empty(log.Of(AuditLog.Category));
        Assert.Empty(await other.AllSettled("block.removed"));
    }

    private Task<HttpResponseMessage> Read(TestUser user, Guid conversation) =>
        app.Http(user).GetAsync($"/chat/conversations/{conversation}/messages?limit=1");

    // Like the server, but in few transactions.
    private async Task Meet(TestUser user, int people)
    {
        foreach (var part in Enumerable.Range(0, people).Chunk(200))
        {
            await using var session = app.Services.GetRequiredService<IDocumentStore>().LightweightSession();
            foreach (var _ in part)
            {
                var other = Guid.NewGuid();
                Conversations.Start(session, ConversationHead.IdOfDirect(user.Id, other),
                    new(ConversationKind.Direct, [user.Id, other], DateTimeOffset.UtcNow));
            }

            await session.SaveChangesAsync();
        }
    }
}
