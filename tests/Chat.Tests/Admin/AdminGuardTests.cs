using System.Net;
using System.Text.Json;
using Chat.Telemetry;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Admin;

/// <summary>Access control of the admin port.</summary>
public sealed class AdminGuardTests
{
    private static readonly (string, string) ByToken = ("Authorization", $"Bearer {AdminPort.Token}");

    private const string SomeId = "00000000-0000-0000-0000-000000000001";

    /// <summary>Every endpoint, with whether it can be called without a token.</summary>
    private static readonly (HttpMethod Method, string Address, bool IsOpen)[] Calls =
    [
        (HttpMethod.Get, "/metrics", true),
        (HttpMethod.Get, "/health/live", true),
        (HttpMethod.Get, "/health/ready?exclude=redis&exclude=pubsub&exclude=postgres", true),
        (HttpMethod.Get, "/", false),
        (HttpMethod.Get, "/connections", false),
        (HttpMethod.Delete, "/connections?user=00000000-0000-0000-0000-000000000001", false),
        (HttpMethod.Delete, "/connections/00000000-0000-0000-0000-000000000001", false),
        (HttpMethod.Get, "/drain", false),
        (HttpMethod.Post, "/drain", false),
        (HttpMethod.Delete, "/drain", false),
        (HttpMethod.Get, "/log-level", false),
        (HttpMethod.Put, "/log-level?category=Chat&level=information", false),
        (HttpMethod.Delete, "/log-level", false),
        (HttpMethod.Get, "/trace", false),
        (HttpMethod.Put, "/trace/00000000-0000-0000-0000-000000000001?for=00:00:01", false),
        (HttpMethod.Delete, "/trace/00000000-0000-0000-0000-000000000001", false),
        (HttpMethod.Get, "/debug-bundle", false),
        (HttpMethod.Get, "/no-such-call", false),
    ];

    [Fact]
    public async Task On_the_loopback_no_token_is_required()
    {
        await using var admin = await AdminPort.Start();

        foreach (var (method, address, _) in Calls)
            Assert.DoesNotContain((int)await Status(admin, method, address), (int[])[401, 403, 421]);
    }

    [Fact]
    public async Task The_table_of_endpoints_is_complete()
    {
        await using var admin = await AdminPort.Start();

        var list = (await admin.Http.GetStringAsync("/")).TrimEnd().Split('\n');

        Assert.All(list, line => Assert.Matches(@"^(GET|PUT|POST|DELETE) +/\S* +[A-Z].*", line));
        var routes = list.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is var words
            ? $"{words[0]} {System.Text.RegularExpressions.Regex.Replace(words[1], @"\{\w+:guid\}", SomeId)}" : "");
        Assert.Equal(routes.Order(),
            Calls.Where(call => call.Address != "/no-such-call").Select(call => $"{call.Method} {call.Address.Split('?')[0]}").Order());
    }

    [Fact]
    public async Task The_token_endpoint_is_only_used_where_it_exists()
    {
        await using var admin = await AdminPort.Start(new() { ["Admin:Token"] = AdminPort.Token });

        foreach (var (method, address, isOpen) in Calls)
        {
            Assert.Equal(!isOpen, await Status(admin, method, address) == HttpStatusCode.Unauthorized);
            Assert.Equal(!isOpen,
                await Status(admin, method, address, ("Authorization", $"Bearer {AdminPort.Token}x")) == HttpStatusCode.Unauthorized);
            Assert.NotEqual(HttpStatusCode.Unauthorized, await Status(admin, method, address, ByToken));
        }

        using var refused = await admin.Send(HttpMethod.Get, "/connections");
        Assert.Equal("Bearer", $"{refused.Headers.WwwAuthenticate}");
        Assert.DoesNotContain(AdminPort.Token, await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Off_the_loopback_only_metrics_and_health_need_no_token()
    {
        await using var admin = await AdminPort.Start(new() { ["Admin:Address"] = "0.0.0.0" });
        await using var client = await admin.App.Connect(ChatApp.NewUser());

        foreach (var (method, address, isOpen) in Calls)
            Assert.Equal(!isOpen, await Status(admin, method, address) == HttpStatusCode.Forbidden);
        Assert.Equal(HttpStatusCode.Forbidden, await Status(admin, HttpMethod.Get, "/connections", ByToken));
        await client.Settle();
    }

    [Fact]
    public async Task Off_the_loopback_the_token_grants_the_rest()
    {
        await using var admin = await AdminPort.Start(new() { ["Admin:Address"] = "0.0.0.0", ["Admin:Token"] = AdminPort.Token });

        foreach (var (method, address, isOpen) in Calls)
        {
            Assert.Equal(!isOpen, await Status(admin, method, address, ("Host", "chat-1.example:9464")) == HttpStatusCode.Unauthorized);
            Assert.DoesNotContain(
                (int)await Status(admin, method, address, ByToken, ("Host", "chat-1.example:9464")), (int[])[401, 403, 421]);
        }
    }

    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Origin", "http://127.0.0.1")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    [InlineData("Sec-Fetch-Site", "same-site")]
    public async Task Web_pages_of_a_foreign_host_get_nothing(string header, string value)
    {
        await using var admin = await AdminPort.Start();

        foreach (var (method, address, _) in Calls)
            Assert.Equal(HttpStatusCode.Forbidden, await Status(admin, method, address, (header, value)));
        Assert.Equal(HttpStatusCode.OK, await Status(admin, HttpMethod.Get, "/connections", ("Sec-Fetch-Site", "none")));
    }

    [Fact]
    public async Task A_foreign_host_name_pointing_at_the_loopback_reaches_only_the_probes()
    {
        await using var admin = await AdminPort.Start();

        foreach (var (method, address, _) in Calls)
            Assert.Equal(!address.StartsWith("/health", StringComparison.Ordinal),
                await Status(admin, method, address, ("Host", "evil.example")) == HttpStatusCode.MisdirectedRequest);
        Assert.Equal(HttpStatusCode.OK, await Status(admin, HttpMethod.Get, "/connections", ("Host", "localhost:9464")));
    }

    [Fact]
    public async Task Rejections_are_logged_without_content_and_rate_limited()
    {
        await using var admin = await AdminPort.Start(new() { ["Admin:Token"] = AdminPort.Token }, fakeClock: true);
        var log = LogCapture.Of(admin.App);

        for (var i = 0; i < 20; i++)
            await Status(admin, HttpMethod.Get, $"/connections?secret-{i}", ("Authorization", $"Bearer guess-{i}"));

        Assert.Equal(2, log.Of(AuditLog.Category).Count);
        Assert.All(log.Of(AuditLog.Category), line => Assert.Equal(
            "Admin call refused: GET /connections from 127.0.0.1: Admin__Token is required: Authorization: Bearer <token>.", line));
    }

    [Fact]
    public async Task Readiness_is_also_served_on_the_admin_port()
    {
        await using var admin = await AdminPort.Start();
        JsonElement own = default;
        await Eventually.UntilNoError(async () =>
        {
            using var answer = await admin.Send(HttpMethod.Get, "/health/ready");
            own = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
            return answer.StatusCode == HttpStatusCode.OK ? null : own.GetRawText();
        });

        Assert.Equal(
            """{"status":"ok","checks":{"server":"ok","postgres":"ok","redis":"ok","pubsub":"ok","issuer":"ok"}}""", own.GetRawText());
        Assert.Equal("""{"status":"ok","checks":{}}""", (await admin.Get("/health/live")).GetRawText());
    }

    [Fact]
    public async Task Errors_have_the_same_form_as_over_REST()
    {
        await using var admin = await AdminPort.Start();

        using var missing = await admin.Send(HttpMethod.Get, "/no-such-call");
        using var wrong = await admin.Send(HttpMethod.Post, "/connections");

        await missing.IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        await wrong.IsProblem(HttpStatusCode.MethodNotAllowed, "NOT_FOUND");
        Assert.Equal("no-store", $"{missing.Headers.CacheControl}");
        Assert.Equal(["nosniff"], missing.Headers.GetValues("X-Content-Type-Options"));
    }

    private static async Task<HttpStatusCode> Status(
        AdminPort admin, HttpMethod method, string address, params (string Name, string Value)[] headers)
    {
        using var answer = await admin.Send(method, address, headers);
        return answer.StatusCode;
    }
}
