using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Marten;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class ConversationsTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Fact]
    public async Task A_direct_conversation_is_unique_under_concurrent_opens()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());

        var responses = await Task.WhenAll(Enumerable.Range(0, 40).Select(i =>
            (i % 4 < 2 ? app : cluster.Second).AskForDirect(i % 2 == 0 ? alice : bob, new { userId = (i % 2 == 0 ? bob : alice).Id })));

        Assert.Equal(1, responses.Count(response => response.StatusCode == HttpStatusCode.Created));
        Assert.Equal(39, responses.Count(response => response.StatusCode == HttpStatusCode.OK));
        var ids = new HashSet<Guid>();
        foreach (var response in responses)
        {
            var conversation = await response.Is(response.StatusCode);
            ids.Add(conversation.Id("id"));
            Assert.Equal(2, conversation.List("members").Length);
        }

        var id = Assert.Single(ids);
        await using var session = app.Services.GetRequiredService<IDocumentStore>().QuerySession();
        Assert.Equal(2, await session.Query<Member>().CountAsync(member => member.ConversationId == id));
        Assert.Equal(1, await session.Query<ConversationHead>().CountAsync(head => head.Id == id));
        Assert.Single(await session.Events.FetchStreamAsync(id));
    }

    [Fact]
    public async Task A_new_conversation_has_all_specified_fields()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());

        var response = await app.AskForDirect(alice, new { userId = bob.Id });
        var conversation = await response.Is(HttpStatusCode.Created);

        Assert.Equal(["id", "kind", "members", "seq", "updatedAt", "unread"], conversation.EnumerateObject().Select(field => field.Name));
        Assert.Equal("direct", conversation.Text("kind"));
        Assert.Equal((0, 0), (conversation.Number("seq"), conversation.Number("unread")));
        Assert.Equal(
            ["userId", "username", "readUpTo", "deliveredUpTo"], conversation.Member(alice).EnumerateObject().Select(field => field.Name));
        Assert.Equal(alice.Username, conversation.Member(alice).Text("username"));
        Assert.Equal($"/chat/conversations/{conversation.Id("id")}", response.Headers.Location?.ToString());
        Assert.Equal(conversation.GetRawText(), (await app.Conversation(alice, conversation.Id("id"))).GetRawText());
    }

    [Fact]
    public async Task A_user_can_be_named_by_username_in_any_case()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser($"Bob-{Guid.NewGuid():N}"));
        await using var atBob = await app.Connect(bob);

        var created = await (await app.AskForDirect(alice, new { username = bob.Username.ToUpperInvariant() })).Is(HttpStatusCode.Created);
        var again =
            await (await cluster.Second.AskForDirect(alice, new { username = bob.Username.ToLowerInvariant() })).Is(HttpStatusCode.OK);
        var byId = await app.OpenDirect(bob, alice);

        Assert.Equal(byId, created.Id("id"));
        Assert.Equal(byId, again.Id("id"));
        Assert.Equal(bob.Username, created.Member(bob).Text("username"));
    }

    [Fact]
    public async Task A_user_who_never_signed_in_can_be_named_by_id()
    {
        var (alice, nobodyYet) = (ChatApp.NewUser(), ChatApp.NewUser());

        var conversation = await (await app.AskForDirect(alice, new { userId = nobodyYet.Id })).Is(HttpStatusCode.Created);

        Assert.False(conversation.Member(nobodyYet).Has("username"));
    }

    [Fact]
    public async Task An_invalid_username_is_rejected()
    {
        var alice = ChatApp.NewUser();

        await (await app.AskForDirect(alice, new { userId = alice.Id })).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "userId");
        await (await app.AskForDirect(alice, new { username = alice.Username })).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR");
        await (await app.AskForDirect(alice, new { username = $"nobody-{Guid.NewGuid():N}" })).IsProblem(
            HttpStatusCode.NotFound, "NOT_FOUND");
        await (await app.AskForDirect(alice, new { username = " " })).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "username");
        await (await app.AskForDirect(alice, new { userId = Guid.NewGuid(), username = "both" })).IsProblem(
            HttpStatusCode.BadRequest, "VALIDATION_ERROR", "username");
        await (await app.AskForDirect(alice, new { userId = Guid.Empty })).IsProblem(
            HttpStatusCode.BadRequest, "VALIDATION_ERROR", "userId");
        await (await app.AskForDirect(alice, new { userId = "nobody" })).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "userId");
        await (await app.AskForDirect(alice, new { })).IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "userId");
    }

    [Fact]
    public async Task A_block_prevents_opening_a_conversation_but_an_existing_one_is_found()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        var withCarol = await app.OpenDirect(alice, carol);
        await atAlice.Block(bob);
        await atAlice.Block(carol);

        await (await app.AskForDirect(alice, new { userId = bob.Id })).IsProblem(HttpStatusCode.Forbidden, "BLOCKED");
        await (await app.AskForDirect(bob, new { userId = alice.Id })).IsProblem(HttpStatusCode.Forbidden, "BLOCKED");
        var found = await (await cluster.Second.AskForDirect(carol, new { userId = alice.Id })).Is(HttpStatusCode.OK);
        await atAlice.Unblock(bob);
        await (await app.AskForDirect(bob, new { userId = alice.Id })).Is(HttpStatusCode.Created);

        Assert.Equal(withCarol, found.Id("id"));
    }

    [Fact]
    public async Task Strangers_cannot_detect_a_conversation()
    {
        var (alice, bob, stranger) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);

        foreach (var id in new[] { conversation, Guid.NewGuid() })
            await (await app.Http(stranger).GetAsync($"/chat/conversations/{id}")).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        await (await app.Http(stranger).GetAsync("/chat/conversations/no-id")).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        await (await app.Http().GetAsync($"/chat/conversations/{conversation}")).IsProblem(HttpStatusCode.Unauthorized, "UNAUTHORIZED");
        Assert.Empty((await app.ConversationPage(stranger)).List("conversations"));
    }

    [Fact]
    public async Task The_view_shows_last_message_names_cursors_and_unread_count()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);
        var conversation = await app.OpenDirect(alice, bob);
        for (var i = 1; i <= 3; i++)
            await atAlice.SendMessage(conversation, $"m{i}", $"t{i}");
        await atBob.Read(conversation, 1);
        await atBob.Deliver(conversation, 2);

        var (forAlice, forBob) = (await app.Conversation(alice, conversation), await cluster.Second.Conversation(bob, conversation));

        Assert.Equal((3, 0), (forAlice.Number("seq"), forAlice.Number("unread")));
        Assert.Equal((3, 2), (forBob.Number("seq"), forBob.Number("unread")));
        Assert.Equal("t3", forAlice.Text("lastMessage.tempId"));
        Assert.Equal("m3", forBob.Text("lastMessage.content"));
        Assert.False(forBob.Field("lastMessage").Has("tempId"));
        Assert.Equal(forBob.Text("lastMessage.sentAt"), forBob.Text("updatedAt"));
        Assert.Equal((1, 2),
            (forAlice.Member(bob).Number("readUpTo"), forAlice.Member(bob).Number("deliveredUpTo")));
        Assert.Equal(bob.Username, forAlice.Member(bob).Text("username"));
    }

    [Fact]
    public async Task The_list_is_ordered_by_activity_and_paged_without_duplicates()
    {
        var alice = ChatApp.NewUser();
        var conversations = new List<Guid>();
        for (var i = 0; i < 7; i++)
            conversations.Add(await app.OpenDirect(alice, ChatApp.NewUser()));
        var said = new Dictionary<Guid, string>();
        foreach (var again in new[] { conversations[2], conversations[5], conversations[0] })
        {
            var message = await (await app.SendOverRest(alice, again, "activity")).Content.ReadFromJsonAsync<JsonElement>();
            said.Add(again, message.Text("sentAt"));
        }

        var whole = await app.ConversationPage(alice);
        var all = IdsOf(whole);
        var activity = whole.List("conversations")
            .ToDictionary(row => row.Id("id"), row => row.Text("updatedAt"));

        var paged = new List<Guid>();
        var cursor = "";
        for (var pages = 1; ; pages++)
        {
            var page = await cluster.Second.ConversationPage(alice, $"?limit=3{cursor}");
            paged.AddRange(IdsOf(page));
            if (!page.TryGetProperty("nextCursor", out var next))
            {
                Assert.Equal(3, pages);
                break;
            }

            Assert.Equal(3, page.List("conversations").Length);
            cursor = $"&cursor={Uri.EscapeDataString(next.GetString()!)}";
        }

        Assert.All(said, message => Assert.Equal(message.Value, activity[message.Key]));
        // Times are in milliseconds, and two activities may share one: then the ids decide.
        Assert.Equal(conversations.OrderByDescending(id => activity[id], StringComparer.Ordinal).ThenByDescending(id => id), all);
        Assert.Equal(all, paged);
    }

    [Fact]
    public async Task An_empty_direct_conversation_is_listed_only_for_the_user_who_opened_it()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var id = await app.OpenDirect(alice, bob);

        Assert.Equal([id], IdsOf(await app.ConversationPage(alice)));
        Assert.Empty(IdsOf(await cluster.Second.ConversationPage(bob)));

        // Opening finds the existing conversation, which still belongs to the first user.
        Assert.Equal(id, await app.OpenDirect(bob, alice));
        Assert.Empty(IdsOf(await app.ConversationPage(bob)));

        await app.SendOverRest(bob, id, "hello");
        Assert.Equal([id], IdsOf(await app.ConversationPage(alice)));
        Assert.Equal([id], IdsOf(await cluster.Second.ConversationPage(bob)));
    }

    [Fact]
    public async Task A_full_last_page_has_no_cursor()
    {
        var alice = ChatApp.NewUser();
        for (var i = 0; i < 4; i++)
            await app.OpenDirect(alice, ChatApp.NewUser());

        var first = await app.ConversationPage(alice, "?limit=2");
        var second = await app.ConversationPage(alice, $"?limit=2&cursor={first.Text("nextCursor")}");

        Assert.False(second.Has("nextCursor"));
        Assert.Equal(4, IdsOf(first).Concat(IdsOf(second)).Distinct().Count());
    }

    [Fact]
    public async Task Activity_between_two_pages_neither_repeats_nor_hides_conversations()
    {
        var alice = ChatApp.NewUser();
        var conversations = new List<Guid>();
        for (var i = 0; i < 6; i++)
            conversations.Insert(0, await app.OpenDirect(alice, ChatApp.NewUser()));
        var all = IdsOf(await app.ConversationPage(alice));

        var first = await app.ConversationPage(alice, "?limit=3");
        await app.SendOverRest(alice, IdsOf(first)[1], "up to the front");
        await app.OpenDirect(alice, ChatApp.NewUser());
        var second = await app.ConversationPage(alice, $"?limit=3&cursor={first.Text("nextCursor")}");

        Assert.Equal(all, IdsOf(first).Concat(IdsOf(second)));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=-1", "limit")]
    [InlineData("limit=201", "limit")]
    [InlineData("cursor=", "cursor")]
    [InlineData("cursor=x", "cursor")]
    [InlineData("cursor=1_x", "cursor")]
    [InlineData("cursor=-1_00000000000000000000000000000001", "cursor")]
    [InlineData("cursor=99999999999999999999_00000000000000000000000000000001", "cursor")]
    [InlineData("cursor=9999999999999999_00000000000000000000000000000001", "cursor")]
    [InlineData("limit=many", null)]
    [InlineData("limit=99999999999", null)]
    public async Task Invalid_paging_parameters_are_rejected(string query, string? field) =>
        await (await app.Http(ChatApp.NewUser()).GetAsync($"/chat/conversations?{query}")).IsProblem(
            HttpStatusCode.BadRequest, "VALIDATION_ERROR", field);

    private static IReadOnlyList<Guid> IdsOf(JsonElement page) =>
        [.. page.List("conversations").Select(conversation => conversation.Id("id"))];
}
