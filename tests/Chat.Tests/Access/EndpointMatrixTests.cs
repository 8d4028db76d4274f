using System.Text;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Access;

/// <summary>
/// Every endpoint of the server times every kind of caller. An endpoint without a row fails, and so does a row without an
/// endpoint.
/// </summary>
public sealed class EndpointMatrixTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private const string GetsNothing = "401", Ready = "200 or 503";

    // The statuses for: member, blocked, stranger, administrator, anonymous, expired. What a caller may not see does not exist:
    // 404, never 403, which would reveal it.
    private static readonly Dictionary<string, Row> Rows = new()
    {
        ["POST /chat/conversations"] = new("/chat/conversations", "200", "200", "201", "201", Body: """{"userId":"<other>"}"""),
        ["GET /chat/conversations"] = new("/chat/conversations", "200", "200", "200", "200"),
        ["GET /chat/conversations/{id:guid}"] = new("/chat/conversations/<conversation>", "200", "200", "404", "404"),
        ["GET /chat/conversations/{id:guid}/messages"] = new("/chat/conversations/<conversation>/messages", "200", "200", "404", "404"),
        ["POST /chat/conversations/{id:guid}/messages"] =
            new("/chat/conversations/<conversation>/messages", "201", "403", "404", "404", Body: """{"content":"third"}"""),
        ["POST /chat/conversations/{id:guid}/read"] = new("/chat/conversations/<conversation>/read", "200", "200", "404", "404"),
        ["GET /chat/unread"] = new("/chat/unread", "200", "200", "200", "200"),
        ["GET /chat/blocks"] = new("/chat/blocks", "200", "200", "200", "200"),
        ["PUT /chat/blocks/{userId:guid}"] = new("/chat/blocks/<other>", "200", "200", "200", "200"),
        ["DELETE /chat/blocks/{userId:guid}"] = new("/chat/blocks/<other>", "200", "200", "200", "200"),
        ["GET /chat/presence"] = new("/chat/presence?userIds=<other>", "200", "200", "200", "200"),
        ["DELETE /chat/sessions"] = new("/chat/sessions", "204", "204", "204", "204"),
        ["POST /admin/users/{id:guid}/revoke"] = new("/admin/users/<other>/revoke", "403", "403", "403", "204"),
        ["POST /admin/usernames/release"] = new("/admin/usernames/release", "403", "403", "403", "404", Body: """{"username":"<new>"}"""),
        ["POST /admin/usernames/move"] =
            new("/admin/usernames/move", "403", "403", "403", "204", Body: """{"username":"<new>","userId":"<other>"}"""),
        // The events are in the other matrix; without an upgrade the endpoint rejects everyone.
        ["GET /chat/ws"] = new("/chat/ws", "426", "426", "426", "426", "426", "426"),
        ["CONNECT /chat/ws"] = new("/chat/ws", "426", "426", "426", "426", "426", "426"),
        ["GET /health/live"] = new("/health/live", "200", "200", "200", "200", "200", "200"),
        // Readiness depends on the machine; everyone may ask.
        ["GET /health/ready"] = new("/health/ready", Ready, Ready, Ready, Ready, Ready, Ready),
        // Needed before sign-in.
        ["GET /client.json"] = new("/client.json", "200", "200", "200", "200", "200", "200"),
        // The contract is public.
        ["GET /openapi/v1.json"] = new("/openapi/v1.json", "200", "200", "200", "200", "200", "200"),
        // Development only: ProductionStartTests checks its absence.
        ["POST /dev/token"] = new("/dev/token", "200", "200", "200", "200", "200", "200", Body: """{"username":"<new>"}"""),
    };

    /// <summary>What a stranger must not find in any response: content and members.</summary>
    private static readonly string[] Secrets = ["first", "second"];

    public static TheoryData<string, Who> Cells
    {
        get
        {
            var cells = new TheoryData<string, Who>();
            foreach (var endpoint in Rows.Keys)
            {
                foreach (var who in Enum.GetValues<Who>())
                    cells.Add(endpoint, who);
            }

            return cells;
        }
    }

    [Fact]
    public void Every_endpoint_has_a_row() => Assert.Equal(Rows.Keys.Order(), Routes.Of(shared.App));

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task Every_caller_gets_the_expected_status(string endpoint, Who who)
    {
        var row = Rows[endpoint];
        var cast = await Cast.Gather(shared.App, who);
        using var client = shared.App.Http();
        using var request = new HttpRequestMessage(MethodOf(endpoint), Fill(row.Address, cast));
        if (cast.Token is { } token)
            request.Headers.Authorization = new("Bearer", token);
        if (row.Body is { } body)
            request.Content = new StringContent(Fill(body, cast), Encoding.UTF8, "application/json");

        using var response = await client.SendAsync(request);

        var text = await response.Content.ReadAsStringAsync();
        Assert.True(row.For(who).Split(" or ").Contains($"{(int)response.StatusCode}"),
            $"{endpoint} for {who}: {(int)response.StatusCode} instead of {row.For(who)}. {text}");
        if (who is not (Who.Member or Who.Blocked))
            Assert.All(Secrets, secret => Assert.DoesNotContain($"\"{secret}\"", text, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Who.Stranger)]
    [InlineData(Who.Administrator)]
    public async Task A_foreign_conversation_looks_like_a_missing_one(Who who)
    {
        var cast = await Cast.Gather(shared.App, who);
        using var client = shared.App.Http();
        client.DefaultRequestHeaders.Authorization = new("Bearer", cast.Token);
        foreach (var (endpoint, row) in Rows.Where(entry => entry.Value.Address.Contains("<conversation>", StringComparison.Ordinal)))
        {
            async Task<string> Ask(Guid conversation)
            {
                using var request = new HttpRequestMessage(
                    MethodOf(endpoint), row.Address.Replace("<conversation>", $"{conversation}", StringComparison.Ordinal));
                if (row.Body is { } body)
                    request.Content = new StringContent(body, Encoding.UTF8, "application/json");
                using var response = await client.SendAsync(request);
                var text = await response.Content.ReadAsStringAsync();
                return $"{(int)response.StatusCode} {System.Text.RegularExpressions.Regex.Replace(text, "\"traceId\":\"[^\"]*\"", "")}";
            }

            Assert.Equal(await Ask(Guid.NewGuid()), await Ask(cast.Conversation));
        }
    }

    private static HttpMethod MethodOf(string endpoint) =>
        endpoint.Split(' ')[0] is var method && method == "CONNECT" ? HttpMethod.Get : new HttpMethod(method);

    private static string Fill(string text, Cast cast) => text
        .Replace("<conversation>", $"{cast.Conversation}", StringComparison.Ordinal)
        .Replace("<other>", $"{cast.Other.Id}", StringComparison.Ordinal)
        .Replace("<new>", $"{Guid.NewGuid():N}", StringComparison.Ordinal);

    private sealed record Row(
        string Address,
        string Member,
        string Blocked,
        string Stranger,
        string Administrator,
        string Anonymous = GetsNothing,
        string Expired = GetsNothing,
        string? Body = null)
    {
        public string For(Who who) => who switch
        {
            Who.Member => Member,
            Who.Blocked => Blocked,
            Who.Stranger => Stranger,
            Who.Administrator => Administrator,
            Who.Anonymous => Anonymous,
            _ => Expired,
        };
    }
}
