using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed partial class WebClientTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;

    [Theory]
    [InlineData("/")]
    [InlineData("/index.html")]
    [InlineData("/c/66cfdbe9-8f7a-4c6e-9d56-0d9e6d0a4f11")]
    [InlineData("/c/anything")]
    public async Task The_page_is_served_at_its_paths_and_revalidated(string address)
    {
        var page = await Get(address);

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal("text/html", page.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-cache", $"{page.Headers.CacheControl}");
        Assert.NotNull(page.Headers.ETag);
        Assert.Contains("<div id=\"root\">", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(
            HttpStatusCode.NotModified, (await Get(address, request => request.Headers.IfNoneMatch.Add(page.Headers.ETag))).StatusCode);
    }

    [Theory]
    [InlineData("/c")]
    [InlineData("/c/a/b")]
    [InlineData("/assets/nothing.js")]
    [InlineData("/nothing")]
    [InlineData("/chat/nothing")]
    [InlineData("/../appsettings.json")]
    [InlineData("/%2e%2e/appsettings.json")]
    public async Task Other_requests_do_not_get_the_page(string address) =>
        await (await Get(address)).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");

    [Theory]
    [InlineData("/c")]
    [InlineData("/c/a/b")]
    [InlineData("/nothing")]
    [InlineData("/chat/nothing")]
    public async Task A_browser_gets_the_not_found_page_for_an_unknown_path(string address)
    {
        var page = await Get(address, request => request.Headers.Add("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"));

        Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        Assert.Equal("text/html", page.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-store", $"{page.Headers.CacheControl}");
        HasSecurityHeaders(page);
        Assert.Contains("<div id=\"root\">", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_API_path_gets_problem_details_even_in_a_browser()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/chat/conversations/{Guid.NewGuid()}");
        request.Headers.Add("Accept", "text/html");

        await (await app.Http(ChatApp.NewUser()).SendAsync(request)).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
    }

    [Fact]
    public async Task All_assets_of_the_page_are_served_and_cached_forever()
    {
        var html = await (await Get("/")).Content.ReadAsStringAsync();
        var loaded = Loaded().Matches(html).Select(match => match.Groups[1].Value).ToArray();

        Assert.Contains(loaded, address => address.EndsWith(".js", StringComparison.Ordinal));
        Assert.Contains(loaded, address => address.EndsWith(".css", StringComparison.Ordinal));
        Assert.All(loaded, address => Assert.StartsWith("/", address, StringComparison.Ordinal));
        foreach (var address in loaded)
        {
            var answer = await Get(address);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(address.StartsWith("/assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache",
                $"{answer.Headers.CacheControl}");
            HasSecurityHeaders(answer);
        }
    }

    [Fact]
    public async Task The_security_policy_restricts_the_page_to_this_server()
    {
        var page = await Get("/c/1");

        HasSecurityHeaders(page);
        var policy = page.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Equal(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; connect-src 'self'; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types chat-worker",
            policy);
        var html = await page.Content.ReadAsStringAsync();
        Assert.DoesNotMatch("<script(?![^>]* src=)|<style| style=| on[a-z]+=", html);
    }

    [Theory]
    [InlineData("br")]
    [InlineData("gzip")]
    public async Task The_page_is_compressed_and_responses_with_secrets_are_not(string encoding)
    {
        void Accept(HttpRequestMessage request) => request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(encoding));

        Assert.Equal([encoding], (await Get("/", Accept)).Content.Headers.ContentEncoding);
        Assert.Empty((await Get("/client.json", Accept)).Content.Headers.ContentEncoding);
        Assert.Empty((await Get("/health/live", Accept)).Content.Headers.ContentEncoding);
    }

    [Fact]
    public async Task The_page_only_answers_GET_and_HEAD() =>
        await (await app.Http().PostAsync("/", null)).IsProblem(HttpStatusCode.MethodNotAllowed, "NOT_FOUND");

    [Fact]
    public async Task In_Development_users_sign_in_by_name()
    {
        var answer = await Get("/client.json");

        var told = await answer.Is(HttpStatusCode.OK);
        Assert.Equal("""{"devSignIn":true}""", told.GetRawText());
        Assert.Equal("no-store", $"{answer.Headers.CacheControl}");
    }

    [Fact]
    public async Task With_an_issuer_users_sign_in_there()
    {
        await using var issued = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = "https://issuer.example:8443/realms/chat",
            ["Web:ClientId"] = "chat-page",
        });

        var told = await (await issued.Http().GetAsync("/client.json")).Is(HttpStatusCode.OK);
        Assert.Equal(
            """{"devSignIn":false,"oidc":{"authority":"https://issuer.example:8443/realms/chat","clientId":"chat-page","scope":"openid profile"}}""", told.GetRawText());
        var policy = (await PageOf(issued).GetAsync("/")).Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("; connect-src 'self' https://issuer.example:8443; ", policy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_issuer_without_a_client_id_for_the_page_is_not_offered()
    {
        await using var issued = await ChatApp.Start(new() { ["Jwt:Key"] = "", ["Jwt:Authority"] = "https://issuer.example" });

        var told = await (await issued.Http().GetAsync("/client.json")).Is(HttpStatusCode.OK);
        Assert.Equal("""{"devSignIn":false}""", told.GetRawText());
        Assert.Contains("; connect-src 'self'; ",
            (await PageOf(issued).GetAsync("/")).Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
    }

    private static void HasSecurityHeaders(HttpResponseMessage answer)
    {
        Assert.StartsWith("default-src 'none'; ", answer.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal(["nosniff"], answer.Headers.GetValues("X-Content-Type-Options"));
        Assert.Equal(["DENY"], answer.Headers.GetValues("X-Frame-Options"));
        Assert.Equal(["no-referrer"], answer.Headers.GetValues("Referrer-Policy"));
        Assert.Equal(["same-origin"], answer.Headers.GetValues("Cross-Origin-Opener-Policy"));
        Assert.Equal(["same-origin"], answer.Headers.GetValues("Cross-Origin-Resource-Policy"));
    }

    private async Task<HttpResponseMessage> Get(string address, Action<HttpRequestMessage>? with = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        with?.Invoke(request);
        return await (IsJson(address) ? app.Http() : PageOf(app)).SendAsync(request);
    }

    // The page is not part of the REST contract that the other client checks.
    private static bool IsJson(string address) => address is "/client.json" or "/health/live";

    private static HttpClient PageOf(ChatApp app) => app.Alba.Server.CreateClient();

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex Loaded();
}
