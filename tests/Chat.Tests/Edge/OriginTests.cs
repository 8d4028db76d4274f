using System.Net;
using Chat.Edge;
using Chat.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Chat.Tests.Edge;

/// <summary>Which origins may use the socket and REST; on Kestrel, because browsers perform real handshakes.</summary>
public sealed class OriginTests(OriginTests.AppWithAPage shared) : IClassFixture<OriginTests.AppWithAPage>
{
    private const string Listed = "https://app.example", Other = "https://b.example:8443";
    private readonly ChatApp app = shared.App;

    public sealed class AppWithAPage : IAsyncLifetime
    {
        public ChatApp App { get; private set; } = null!;

        public async Task InitializeAsync() =>
            App = await ChatApp.Start(new() { ["Origins:Allowed"] = $"{Listed}, {Other}" }, onKestrel: true);

        public async Task DisposeAsync() => await App.DisposeAsync();
    }

    [Theory]
    [InlineData(Listed)]
    [InlineData(Other)]
    [InlineData("<own>")]
    [InlineData("https://APP.example")]
    [InlineData("HTTPS://app.example:443")]
    [InlineData(null)]
    public async Task Listed_origins_the_own_origin_and_non_browsers_may_connect(string? origin) =>
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await ShakeHands(origin));

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://app.example")]
    [InlineData("https://app.example:8443")]
    [InlineData("https://app.example.evil.example")]
    [InlineData("https://sub.app.example")]
    [InlineData("https://app.example/")]
    [InlineData("https://app.example:80")]
    [InlineData("https://app.example, https://b.example:8443")]
    [InlineData("https://<host>")]
    [InlineData("null")]
    [InlineData("")]
    public async Task Any_other_origin_is_rejected_before_the_upgrade(string origin)
    {
        using var client = Bare();
        using var response = await client.SendAsync(Handshake(Fill(origin)));

        var problem = await response.Is(HttpStatusCode.Forbidden);
        Assert.Equal("FORBIDDEN", problem.Text("code"));
    }

    [Fact]
    public async Task Two_origins_are_rejected()
    {
        using var client = Bare();
        using var handshake = Handshake(Listed);
        handshake.Headers.Add("Origin", Other);

        Assert.Equal(HttpStatusCode.Forbidden, (await client.SendAsync(handshake)).StatusCode);
    }

    [Theory]
    [InlineData(Listed, Listed)]
    [InlineData("https://evil.example", null)]
    public async Task Only_listed_origins_may_read_REST_responses(string origin, string? allowed)
    {
        using var client = Bare();
        client.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(ChatApp.NewUser()));
        client.DefaultRequestHeaders.Add("Origin", origin);
        using var asked = new HttpRequestMessage(HttpMethod.Options, "/chat/blocks/1")
        {
            Headers = { { "Access-Control-Request-Method", "PUT" }, { "Access-Control-Request-Headers", "authorization,content-type" } },
        };

        Assert.Equal(allowed, AllowedOf(await client.GetAsync("/chat/unread")));
        // Errors as well: otherwise a page cannot read what is wrong.
        Assert.Equal(allowed, AllowedOf(await client.GetAsync("/chat/conversations?limit=0")));
        Assert.Equal(allowed, AllowedOf(await client.SendAsync(asked)));
    }

    [Theory]
    [InlineData("https://app.example", true)]
    [InlineData("http://localhost:5173,capacitor://localhost", true)]
    [InlineData("", true)]
    [InlineData("https://app.example/", false)]
    [InlineData("https://App.example:443", true)]
    [InlineData("https://*.example", false)]
    [InlineData("https://me@app.example", false)]
    [InlineData("app.example", false)]
    [InlineData("*", false)]
    [InlineData("null", false)]
    public void An_origin_list_with_entries_no_browser_sends_is_rejected_at_startup(string list, bool isGood) =>
        Assert.Equal(isGood, Origins.Validate(list) is null);

    [Fact]
    public void Behind_a_proxy_the_own_origin_has_the_proxys_scheme()
    {
        var request = new DefaultHttpContext().Request;
        (request.Scheme, request.Host) = ("https", new HostString("chat.example"));
        request.Headers.Origin = "https://chat.example";
        Assert.True(new Origins(null).Admits(request));

        request.Headers.Origin = "http://chat.example";
        Assert.False(new Origins(null).Admits(request));
    }

    // Neither handshakes nor preflight requests are in the contract that the fixture's client checks.
    private HttpClient Bare() => new() { BaseAddress = app.Address };

    private static string? AllowedOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) ? values.Single() : null;

    private async Task<HttpStatusCode> ShakeHands(string? origin)
    {
        using var client = Bare();
        // Only the headers: after them the connection is no longer HTTP.
        using var response =
            await client.SendAsync(Handshake(origin is null ? null : Fill(origin)), HttpCompletionOption.ResponseHeadersRead);
        return response.StatusCode;
    }

    private string Fill(string origin) => origin
        .Replace("<own>", $"http://{app.Address.Authority}", StringComparison.Ordinal)
        .Replace("<host>", app.Address.Authority, StringComparison.Ordinal);

    private static HttpRequestMessage Handshake(string? origin)
    {
        var handshake = new HttpRequestMessage(HttpMethod.Get, "/chat/ws")
        {
            Headers =
            {
                { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" },
                    { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" },
            },
        };
        if (origin is not null)
            handshake.Headers.TryAddWithoutValidation("Origin", origin);
        return handshake;
    }
}
