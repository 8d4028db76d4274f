using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed class HistoryTests(HistoryTests.LongTalk talk) : IClassFixture<HistoryTests.LongTalk>
{
    private const int Length = 230;

    [Theory]
    [InlineData("", 181, 230, true)]
    [InlineData("?limit=3", 228, 230, true)]
    [InlineData("?limit=200", 31, 230, true)]
    [InlineData("?before=231&limit=2", 229, 230, true)]
    [InlineData("?before=4&limit=3", 1, 3, false)]
    [InlineData("?before=5&limit=3", 2, 4, true)]
    [InlineData("?before=51", 1, 50, false)]
    [InlineData("?before=52", 2, 51, true)]
    [InlineData("?before=9223372036854775807&limit=1", 230, 230, true)]
    [InlineData("?after=0&limit=3", 1, 3, true)]
    [InlineData("?after=227&limit=3", 228, 230, false)]
    [InlineData("?after=226&limit=3", 227, 229, true)]
    [InlineData("?after=180", 181, 230, false)]
    [InlineData("?after=29&limit=200", 30, 229, true)]
    [InlineData("?after=30&limit=200", 31, 230, false)]
    public async Task A_page_is_ascending_and_reports_whether_more_exist(string query, int first, int last, bool hasMore)
    {
        var page = await Page(query);

        Assert.Equal(Enumerable.Range(first, last - first + 1).Select(number => (long)number), NumbersOf(page));
        Assert.Equal(hasMore, page.Flag("hasMore"));
    }

    [Theory]
    [InlineData("?before=1")]
    [InlineData("?after=230")]
    [InlineData("?after=9223372036854775807")]
    public async Task Pages_past_either_end_are_empty(string query)
    {
        var page = await Page(query);

        Assert.Empty(NumbersOf(page));
        Assert.False(page.Flag("hasMore"));
    }

    [Theory]
    [InlineData("?before=0", "before")]
    [InlineData("?before=-1", "before")]
    [InlineData("?after=-1", "after")]
    [InlineData("?before=5&after=1", "after")]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=201", "limit")]
    [InlineData("?limit=-9", "limit")]
    [InlineData("?limit=x", null)]
    [InlineData("?before=x", null)]
    [InlineData("?after=1.5", null)]
    [InlineData("?after=9223372036854775808", null)]
    public async Task Invalid_paging_parameters_are_rejected(string query, string? field) =>
        await (await talk.App.Http(talk.Alice).GetAsync($"/chat/conversations/{talk.Id}/messages{query}"))
            .IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", field);

    [Fact]
    public async Task Paging_back_returns_every_message_once()
    {
        var all = new List<long>();
        var page = await Page("?limit=60");
        all.InsertRange(0, NumbersOf(page));
        while (page.Flag("hasMore"))
        {
            page = await Page($"?limit=60&before={all[0]}");
            all.InsertRange(0, NumbersOf(page));
        }

        Assert.Equal(Enumerable.Range(1, Length).Select(number => (long)number), all);
    }

    [Fact]
    public async Task A_tempId_is_shown_only_to_its_sender()
    {
        var path = $"/chat/conversations/{talk.Id}/messages?before=2";
        var toSender = (await talk.App.Http(talk.Alice).GetFromJsonAsync<JsonElement>(path)).Field("messages")[0];
        var toOther = (await talk.App.Http(talk.Bob).GetFromJsonAsync<JsonElement>(path)).Field("messages")[0];

        Assert.Equal("t1", toSender.Text("tempId"));
        Assert.Equal(
            toSender.EnumerateObject().Where(field => field.Name != "tempId").Select(field => $"{field}"),
            toOther.EnumerateObject().Select(field => $"{field}"));
    }

    [Fact]
    public async Task Strangers_cannot_detect_a_conversation()
    {
        var stranger = ChatApp.NewUser();
        foreach (var id in new[] { talk.Id, Guid.NewGuid() })
            await (await talk.App.Http(stranger).GetAsync($"/chat/conversations/{id}/messages")).IsProblem(
                HttpStatusCode.NotFound, "NOT_FOUND");
        await (await talk.App.Http().GetAsync($"/chat/conversations/{talk.Id}/messages")).IsProblem(
            HttpStatusCode.Unauthorized, "UNAUTHORIZED");
    }

    [Fact]
    public async Task An_empty_conversation_has_an_empty_page()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await talk.App.OpenDirect(alice, bob);

        var page = await talk.App.Http(bob).GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}/messages");

        Assert.Equal("""{"messages":[],"hasMore":false}""", page.GetRawText());
    }

    [Fact]
    public async Task An_acknowledged_message_is_visible_at_once_on_every_node()
    {
        await using var second = await talk.App.StartNode();
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await talk.App.OpenDirect(alice, bob);
        await using var atAlice = await talk.App.Connect(alice);

        for (var i = 1; i <= 20; i++)
        {
            var sent = await atAlice.SendMessage(conversation, $"m{i}", $"t{i}");
            var latest = (await second.Http(alice)
                .GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}/messages?limit=1")).Field("messages")[0];
            Assert.Equal(sent["message"].GetRawText(), latest.GetRawText());
        }
    }

    private static IEnumerable<long> NumbersOf(JsonElement page) =>
        page.List("messages").Select(message => message.Number("seq"));

    private Task<JsonElement> Page(string query) =>
        talk.App.Http(talk.Bob).GetFromJsonAsync<JsonElement>($"/chat/conversations/{talk.Id}/messages{query}");

    /// <summary>A conversation of 230 messages: more than the largest page.</summary>
    public sealed class LongTalk : IAsyncLifetime
    {
        public ChatApp App { get; private set; } = null!;

        public TestUser Alice { get; } = ChatApp.NewUser();

        public TestUser Bob { get; } = ChatApp.NewUser();

        public Guid Id { get; private set; }

        public async Task InitializeAsync()
        {
            App = await ChatApp.Start();
            Id = await App.OpenDirect(Alice, Bob);
            await using var atAlice = await App.Connect(Alice);
            for (var i = 1; i <= Length; i++)
                Assert.Equal("message.sent", (await atAlice.SendMessage(Id, $"m{i}", $"t{i}")).Type);
        }

        public async Task DisposeAsync() => await App.DisposeAsync();
    }
}
