using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.BadInput;

/// <summary>
/// Every field of every REST body, and every parameter, times every invalid value: problem details with the code of the
/// protocol, never a 5xx, and nothing is stored unless the request succeeded.
/// </summary>
public sealed class RestInputTests(Scene scene) : IClassFixture<Scene>
{
    private const string Validation = "VALIDATION_ERROR";

    // Each body with valid fields; strings in angle brackets are placeholders.
    private static readonly Dictionary<string, Dictionary<string, string>> Bodies = new()
    {
        ["/chat/conversations"] = new() { ["userId"] = "\"<new>\"", ["username"] = "null" },
        ["/chat/conversations/<conversation>/messages"] = new()
        {
            ["conversationId"] = "null",
            ["content"] = "\"hello\"",
            ["tempId"] = "\"<new>\"",
            ["type"] = "\"text\"",
            ["replyTo"] = "null",
            ["attachments"] = "null",
        },
        ["/chat/conversations/<conversation>/read"] = new() { ["conversationId"] = "null", ["upTo"] = "1" },
        ["/dev/token"] = new() { ["username"] = "\"<new>\"" },
    };

    private readonly ChatApp app = scene.App;

    public static TheoryData<string, string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string, string>();
            foreach (var (address, fields) in Bodies)
            {
                foreach (var name in fields.Keys)
                {
                    foreach (var poison in Poison.All.Keys)
                        cases.Add(address, name, poison);
                }
            }

            return cases;
        }
    }

    /// <summary>Bodies that are not JSON objects, for any endpoint.</summary>
    public static TheoryData<string, string> WholeBodies
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var address in Bodies.Keys)
            {
                foreach (var body in (string[])[
                    "null", "[]", "1", "\"a\"", "true", "{", "}", "x", "{}{}", "{\"a\":}", "{'a':1}", "\uFEFF{}", " ", "\0", "a=b&c=d"])
                    cases.Add(address, body);
            }

            return cases;
        }
    }

    public static TheoryData<string> BadQueries => [.. Queries()];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task An_invalid_field(string address, string field, string poisonName)
    {
        var poison = Poison.All[poisonName];
        // A username must be the only field; the rest of the body is valid.
        var fields = Bodies[address].Where(other => !(field == "username" && other.Key == "userId"))
            .ToDictionary(other => other.Key, other => Fill(other.Value));
        var before = await app.History(scene.Alice, scene.Conversation);
        // Unusual names are valid once a user has them.
        if (field == "username" && poison.Harm == Harm.Strange)
            await Post("/dev/token", poison.In(fields, field));

        var response = await Post(address, poison.In(fields, field));

        var expected = Expected(address, field, poison);
        if (expected is null)
            Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        else
            await AssertProblem(response, expected);
        await AssertStored(response, before);
    }

    [Theory]
    [MemberData(nameof(WholeBodies))]
    public async Task An_invalid_body(string address, string body)
    {
        var before = await app.History(scene.Alice, scene.Conversation);

        var response = await Post(address, Encoding.UTF8.GetBytes(body));

        await AssertProblem(response, Validation);
        await AssertStored(response, before);
    }

    [Theory]
    [MemberData(nameof(BadQueries))]
    public async Task An_invalid_parameter(string address)
    {
        var response = await app.Http(scene.Alice).GetAsync(Fill(address));

        await AssertProblem(response, Validation);
    }

    [Theory]
    [InlineData("GET", "/chat/conversations/x")]
    [InlineData("GET", "/chat/conversations/%FF")]
    [InlineData("GET", "/chat/conversations/%ED%A0%80")]
    [InlineData("GET", "/chat/conversations/00000000-0000-0000-0000-000000000000")]
    [InlineData("GET", "/chat/conversations/00000000-0000-0000-0000-000000000000/messages")]
    [InlineData("GET", "/chat/conversations/<new>")]
    [InlineData("GET", "/chat/conversations/<new>/messages")]
    [InlineData("GET", "/chat/conversations/<conversation>x/messages")]
    [InlineData("POST", "/chat/conversations/x/messages")]
    [InlineData("POST", "/chat/conversations/<new>/messages")]
    [InlineData("POST", "/chat/conversations/<new>/read")]
    [InlineData("PUT", "/chat/blocks/x")]
    [InlineData("PUT", "/chat/blocks/")]
    [InlineData("DELETE", "/chat/blocks/x")]
    [InlineData("DELETE", "/chat/blocks/<new>x")]
    [InlineData("PATCH", "/chat/blocks/<new>")]
    [InlineData("DELETE", "/chat/sessions/<new>")]
    [InlineData("DELETE", "/chat/conversations/<conversation>")]
    [InlineData("GET", "/chat/nothing")]
    public async Task An_unknown_route_or_method_returns_404_or_405(string method, string address)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Fill(address));
        if (method == "POST")
            request.Content = JsonContent.Create(new { content = "hello" });

        var response = await app.Http(scene.Alice).SendAsync(request);

        Assert.True(response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed, $"{response.StatusCode}");
        await AssertProblem(response, "NOT_FOUND");
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public async Task Unblocking_a_missing_block_succeeds(string method)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), $"/chat/blocks/{Guid.Empty}");

        var response = await app.Http(scene.Alice).SendAsync(request);

        await AssertProblem(response, Validation);
        Assert.DoesNotContain(Guid.Empty.ToString(), await app.Http(scene.Alice).GetStringAsync("/chat/blocks"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("application/json; charset=iso-8859-1")]
    [InlineData("application/problem+json")]
    [InlineData("application/jsonx")]
    [InlineData("*/*")]
    public async Task A_body_with_another_content_type_returns_415(string contentType)
    {
        var before = await app.History(scene.Alice, scene.Conversation);

        var response = await Post("/chat/conversations/<conversation>/messages", Poison.Json("""{"content":"hello"}"""), contentType);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("application/json", response.Headers.GetValues("Accept").Single());
        await AssertProblem(response, Validation);
        await AssertStored(response, before);
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("Application/JSON; charset=UTF-8")]
    [InlineData("application/json;charset=\"utf-8\"")]
    [InlineData("application/json; profile=x")]
    [InlineData(null)]
    public async Task A_JSON_body_is_accepted(string? contentType)
    {
        var response = await Post("/chat/conversations/<conversation>/messages", Poison.Json("""{"content":"hello"}"""), contentType);

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
    }

    [Fact]
    public async Task An_empty_body_needs_no_content_type() =>
        Assert.Equal(
            HttpStatusCode.OK, (await Post("/chat/conversations/<conversation>/read", [], "application/x-www-form-urlencoded")).StatusCode);

    [Theory]
    [InlineData("1.0", true)]
    [InlineData("1e0", true)]
    [InlineData("10E-1", true)]
    [InlineData("1.5", false)]
    [InlineData("1e30", false)]
    [InlineData("-0.1", false)]
    [InlineData("\"1\"", false)]
    public async Task An_integer_is_any_number_without_a_fraction(string upTo, bool isOne)
    {
        await Post("/chat/conversations/<conversation>/messages", Poison.Json("""{"content":"hello"}"""));

        var response = await Post("/chat/conversations/<conversation>/read", Poison.Json($"{{\"upTo\":{upTo}}}"));

        if (isOne)
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        else
            await AssertProblem(response, Validation);
    }

    [Theory]
    [InlineData("/chat/unread", 200)]
    [InlineData("/chat/conversations", 200)]
    [InlineData("/chat/conversations/<new>", 404)]
    [InlineData("/health/live", 200)]
    [InlineData("/client.json", 200)]
    [InlineData("/nothing", 404)]
    public async Task HEAD_is_answered_like_GET_without_a_body(string address, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, Fill(address));
        request.Headers.Authorization = new("Bearer", app.TokenFor(scene.Alice));

        using var response = await app.Alba.Server.CreateClient().SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("PATCH", "/chat/conversations", "GET, HEAD, POST")]
    [InlineData("DELETE", "/chat/unread", "GET, HEAD")]
    [InlineData("POST", "/health/ready", "GET, HEAD")]
    [InlineData("POST", "/", "GET, HEAD")]
    [InlineData("GET", "/chat/blocks/<new>", "DELETE, PUT")]
    [InlineData("GET", "/chat/sessions", "DELETE")]
    public async Task A_405_lists_the_allowed_methods(string method, string address, string methods)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Fill(address));

        var response = await app.Http(scene.Alice).SendAsync(request);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(methods, string.Join(", ", response.Content.Headers.Allow.Order()));
    }

    [Fact]
    public async Task Unusual_text_is_stored_and_shown_unchanged()
    {
        foreach (var text in (string[])[
            Poison.BidiText, Poison.MarkedText, "\uFFFE\uFFFF\U0010FFFF", "a\u0001\u001B[31m\u007F\u2028b", "👩‍👩‍👧‍👦 e\u0301 \u00E9"])
        {
            var sent =
                await Post("/chat/conversations/<conversation>/messages", JsonSerializer.SerializeToUtf8Bytes(new { content = text }));
            Assert.Equal(HttpStatusCode.Created, sent.StatusCode);
            Assert.Equal(text, (await sent.Content.ReadFromJsonAsync<JsonElement>()).Text("content"));
            Assert.Equal(text, (await app.History(scene.Bob, scene.Conversation))[^1].Text("content"));
        }
    }

    [Fact]
    public async Task The_content_limit_counts_characters_not_bytes()
    {
        var longest = string.Concat(Enumerable.Repeat("🙂", 4000));
        var sent = await Post(
            "/chat/conversations/<conversation>/messages", JsonSerializer.SerializeToUtf8Bytes(new { content = $"\n{longest}  " }));
        Assert.Equal(HttpStatusCode.Created, sent.StatusCode);
        Assert.Equal(longest, (await sent.Content.ReadFromJsonAsync<JsonElement>()).Text("content"));

        var before = await app.History(scene.Alice, scene.Conversation);
        var more =
            await Post("/chat/conversations/<conversation>/messages", JsonSerializer.SerializeToUtf8Bytes(new { content = longest + "x" }));
        await AssertProblem(more, Validation);
        await AssertStored(more, before);
    }

    private static IEnumerable<string> Queries()
    {
        const string Page = "/chat/conversations?", Messages = "/chat/conversations/<conversation>/messages?";
        string[] noNumber =
            ["x", "1.5", "1e2", "0x10", "99999999999999999999", "%00", "%FF", "%E2%80%AE1", "%D9%A1", "--1", "NaN", "1,2", "[1]"];
        foreach (var (address, name) in ((string, string)[])[
            (Page, "limit"), (Messages, "limit"), (Messages, "before"), (Messages, "after")])
        {
            foreach (var value in noNumber)
                yield return $"{address}{name}={value}";
        }

        foreach (var address in (string[])[Page, Messages])
        {
            foreach (var value in (string[])["0", "-1", "201", "2147483647", "-2147483648", "2147483648"])
                yield return $"{address}limit={value}";
        }

        foreach (var value in (string[])["0", "-1", "-9223372036854775808", "9223372036854775808"])
            yield return $"{Messages}before={value}";
        foreach (var value in (string[])["-1", "-9223372036854775808", "9223372036854775808"])
            yield return $"{Messages}after={value}";
        yield return $"{Messages}before=1&after=1";
        foreach (var value in (string[])[
            "x", "_", "1_", "_1", "1_1", "%00", "%FF", "-1_00000000000000000000000000000000",
                "999999999999999999_00000000000000000000000000000000", "253402300800000_00000000000000000000000000000000", "1_{0}", "1_2_3",
                "%E2%80%AE"])
            yield return $"{Page}cursor={value}";
    }

    /// <summary>Returns the expected problem code; null if the request is valid.</summary>
    private static string? Expected(string address, string field, Poison poison)
    {
        if (poison.Harm is Harm.NotUtf8 or Harm.TooBig or Harm.TooDeep or Harm.Twice)
            return Validation;
        return (address, field) switch
        {
            // Directional or empty text is not a valid name, so no user has it.
            (_, "username") when poison.Harm == Harm.Strange && poison.Name is not ("U+202E" or "noncharacters") => null,
            ("/chat/conversations", "username") => poison.Harm is Harm.Long or Harm.Nul or Harm.Strange ? "NOT_FOUND" : Validation,
            (_, "content") => poison.Harm == Harm.Strange ? null : Validation,
            (_, "tempId") =>
                poison.Harm is Harm.Strange or Harm.Absent || poison.Name is "empty" or "blanks of many kinds" ? null : Validation,
            // Already in the path; its absence is valid.
            (_, "conversationId" or "type" or "replyTo" or "attachments" or "upTo") => poison.Harm == Harm.Absent ? null : Validation,
            _ => Validation,
        };
    }

    private static async Task AssertProblem(HttpResponseMessage response, string code)
    {
        Assert.InRange((int)response.StatusCode, 400, 499);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(code, problem.Text("code"));
        Assert.Equal((int)response.StatusCode, problem.Number("status"));
    }

    private async Task AssertStored(HttpResponseMessage response, IReadOnlyList<JsonElement> before)
    {
        var stored = (await app.History(scene.Alice, scene.Conversation)).Skip(before.Count).Select(message => message.GetRawText());
        var acknowledged = response.StatusCode == HttpStatusCode.Created
            && response.RequestMessage!.RequestUri!.AbsolutePath.EndsWith("/messages", StringComparison.Ordinal)
            ? new[] { await response.Content.ReadAsStringAsync() }
            : [];
        Assert.Equal(acknowledged, stored);
    }

    private async Task<HttpResponseMessage> Post(string address, byte[] body, string? contentType = "application/json")
    {
        var content = new ByteArrayContent(body);
        if (contentType is not null)
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        return await app.Http(scene.Alice).PostAsync(Fill(address), content);
    }

    private string Fill(string text) => text
        .Replace("<conversation>", scene.Conversation.ToString(), StringComparison.Ordinal)
        .Replace("<new>", Guid.NewGuid().ToString(), StringComparison.Ordinal);
}
