using System.Text.Json;
using System.Text.RegularExpressions;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>The three ways to authenticate and their precedence. For invalid tokens see <see cref="ForgedTokenTests"/>.</summary>
public sealed partial class AuthenticationTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Authenticates_by_header()
    {
        await using var client = await app.Open(bearer: app.TokenFor(alice));

        await LetsIn(client, alice, id: null);
    }

    [Fact]
    public async Task By_query()
    {
        await using var client = await app.Open(query: $"?token={app.TokenFor(alice)}");

        await LetsIn(client, alice, id: null);
    }

    [Fact]
    public async Task Authenticates_by_query_after_other_parameters_and_a_trailing_slash()
    {
        await using var client = await app.Open(query: $"/?v=1&token={app.TokenFor(alice)}&x=%20");

        await LetsIn(client, alice, id: null);
    }

    [Fact]
    public async Task Authenticates_by_first_frame()
    {
        await using var client = await app.Open();
        await client.Send("auth", new { token = app.TokenFor(alice) }, "a1");

        await LetsIn(client, alice, "a1");
    }

    [Fact]
    public async Task The_first_frame_has_every_field()
    {
        await using var client = await app.Connect(alice);

        var payload = client.Frames[0].Payload;
        Assert.Equal(
            ["connectedAt", "connectionId", "epoch", "heartbeat", "limits", "userId"],
            payload.EnumerateObject().Select(field => field.Name).Order());
        Assert.Matches(Uuid(), payload.Text("userId"));
        Assert.Matches(Uuid(), payload.Text("connectionId"));
        Assert.Matches(Uuid(), payload.Text("epoch"));
        Assert.Matches(Rfc3339(), payload.Text("connectedAt"));
        Assert.Equal("""{"pingSeconds":30,"timeoutSeconds":45}""", payload.Field("heartbeat").GetRawText());
        Assert.Equal(
            """{"maxFrameBytes":65536,"maxContentLength":4000,"messagesPerSecond":1000,"sendQueue":256}""",
            payload.Field("limits").GetRawText());
    }

    [Fact]
    public async Task Two_connections_have_different_ids_and_the_same_epoch()
    {
        await using var one = await app.Connect(alice);
        await using var two = await app.Connect(alice);

        Assert.NotEqual(one.Frames[0].Id("connectionId"), two.Frames[0].Id("connectionId"));
        Assert.Equal(one.Frames[0].Id("epoch"), two.Frames[0].Id("epoch"));
    }

    [Fact]
    public async Task The_query_takes_precedence_over_the_header()
    {
        await using var client = await app.Open($"?token={app.TokenFor(alice)}", app.TokenFor(bob));

        await LetsIn(client, alice, id: null);
    }

    [Fact]
    public async Task The_query_takes_precedence_over_the_header_even_if_invalid()
    {
        await using var client = await app.Open("?token=bad", app.TokenFor(alice));

        await Refuses(client, "TOKEN_INVALID", id: null);
    }

    [Theory]
    [InlineData("?token=bad")]
    [InlineData("?token=")]
    [InlineData("?token")]
    public async Task The_query_takes_precedence_over_the_first_frame_even_if_invalid(string query)
    {
        await using var client = await app.Open(query);

        await Refuses(client, "TOKEN_INVALID", id: null);
    }

    [Fact]
    public async Task Two_tokens_in_the_query_are_rejected()
    {
        await using var client = await app.Open($"?token={app.TokenFor(alice)}&token={app.TokenFor(bob)}");

        await Refuses(client, "TOKEN_INVALID", id: null);
    }

    [Fact]
    public async Task An_expired_token_is_reported_as_expired()
    {
        await using var byHeader = await app.Open(bearer: app.TokenFor(alice, TimeSpan.FromMinutes(-1)));
        await Refuses(byHeader, "TOKEN_EXPIRED", id: null);

        await using var byQuery = await app.Open($"?token={app.TokenFor(alice, TimeSpan.FromMinutes(-1))}");
        await Refuses(byQuery, "TOKEN_EXPIRED", id: null);

        await using var byFrame = await app.Open();
        await byFrame.Send("auth", new { token = app.TokenFor(alice, TimeSpan.FromMinutes(-1)) }, "a1");
        await Refuses(byFrame, "TOKEN_EXPIRED", "a1");
    }

    [Fact]
    public async Task A_first_frame_without_a_token_is_rejected_as_a_bad_token()
    {
        await using var client = await app.Open();
        await client.Send("auth", new { }, "a1");

        await Refuses(client, "TOKEN_INVALID", "a1");
    }

    [Theory]
    [InlineData("ping")]
    [InlineData("message.send")]
    [InlineData("no.such.event")]
    public async Task Before_authentication_every_event_is_unauthorized_and_the_connection_stays_open(string type)
    {
        await using var client = await app.Open();

        var error = await client.Ask(type, new { });
        Assert.Equal("error", error.Type);
        Assert.Equal("UNAUTHORIZED", error.Text("code"));

        await client.Send("auth", new { token = app.TokenFor(alice) }, "a1");
        Assert.Equal("auth_success", (await client.ReplyTo("a1")).Type);
    }

    [Fact]
    public async Task Events_before_authentication_have_no_effect()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var client = await app.Open();

        var error = await client.SendMessage(conversation, "hello");

        Assert.Equal("UNAUTHORIZED", error.Text("code"));
        Assert.Empty(await app.History(alice, conversation));
    }

    [Fact]
    public async Task Authenticating_again_is_answered_under_its_id()
    {
        await using var client = await app.Connect(alice);

        var again = await client.Ask("auth", new { token = app.TokenFor(alice) });

        Assert.Equal("auth_success", again.Type);
        Assert.Equal(client.Frames[0].Payload.GetRawText(), again.Payload.GetRawText());
        await client.Settle();
    }

    [Fact]
    public async Task Authenticating_as_another_user_closes_the_connection()
    {
        await using var client = await app.Connect(alice);
        await client.Send("auth", new { token = app.TokenFor(bob) }, "a2");

        var refused = await client.ReplyTo("a2");
        Assert.Equal("auth_failed", refused.Type);
        Assert.Equal("TOKEN_INVALID", refused.Text("code"));
        Assert.Equal(4501, await client.Closed());
    }

    [Fact]
    public async Task Authenticating_again_with_a_bad_token_closes_the_connection()
    {
        await using var client = await app.Connect(alice);
        await client.Send("auth", new { token = app.TokenFor(alice, TimeSpan.FromMinutes(-1)) }, "a2");

        var refused = await client.ReplyTo("a2");
        Assert.Equal("auth_failed", refused.Type);
        Assert.Equal("TOKEN_EXPIRED", refused.Text("code"));
        Assert.Equal(4501, await client.Closed());
    }

    [Fact]
    public async Task After_a_rejection_nothing_more_is_handled()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var client = await app.Connect(alice);
        await client.Send("auth", new { token = "bad" });
        // The server may have closed already: then the send fails, which is equivalent.
        await Record.ExceptionAsync(() => client.Send("message.send", new { conversationId = conversation, content = "hello" }));

        Assert.Equal(4501, await client.Closed());
        Assert.Empty(await app.History(alice, conversation));
    }

    private static async Task LetsIn(SocketClient client, TestUser user, string? id)
    {
        var accepted = await client.Next("auth_success");
        Assert.Same(accepted, client.Frames[0]);
        Assert.Equal(id, accepted.Id);
        Assert.Equal(user.Id, accepted.Id("userId"));
        await client.Settle();
    }

    private static async Task Refuses(SocketClient client, string code, string? id)
    {
        var refused = await client.Next("auth_failed");
        Assert.Equal(code, refused.Text("code"));
        Assert.Equal(JsonValueKind.String, refused["message"].ValueKind);
        Assert.Equal(id, refused.Id);
        Assert.Equal(4501, await client.Closed());
        Assert.Single(client.Frames);
    }

    [GeneratedRegex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    private static partial Regex Uuid();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    private static partial Regex Rfc3339();
}
