using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Chat.Edge;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Edge;

/// <summary>The server below a path of another site, behind a proxy.</summary>
public sealed partial class PathPrefixTests
{
    private readonly TestUser alice = ChatApp.NewUser();

    [NginxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Behind_nginx_everything_works_below_the_prefix(bool proxyTakesItOff)
    {
        await using var app = await ChatApp.Start(new() { ["PathBase"] = "/team", ["Proxies:Known"] = "127.0.0.1" }, onKestrel: true);
        await using var nginx = await Nginx.Start($$"""
            location /team/ {
              proxy_pass http://{{app.Address.Authority}}{{(proxyTakesItOff ? "/" : "")}};
              proxy_http_version 1.1;
              proxy_set_header Upgrade $http_upgrade;
              proxy_set_header Connection $connection_upgrade;
              proxy_set_header Host $http_host;
            }
            """);
        using var http = new HttpClient { BaseAddress = nginx.Address };

        foreach (var address in (string[])["/team/", "/team/c/66cfdbe9-8f7a-4c6e-9d56-0d9e6d0a4f11"])
        {
            var page = await http.GetStringAsync(address);
            var loaded = Loaded().Matches(page).Select(match => match.Groups[1].Value).ToArray();
            Assert.Contains(loaded, file => file.EndsWith(".js", StringComparison.Ordinal));
            foreach (var file in loaded)
            {
                Assert.StartsWith("/team/", file, StringComparison.Ordinal);
                Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(file)).StatusCode);
            }
        }

        foreach (var address in (string[])["client.json", "health/ready", "docs/", "docs/scalar.js"])
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"/team/{address}")).StatusCode);
        var contract = await http.GetFromJsonAsync<JsonElement>("/team/openapi/v1.json");
        Assert.Equal("/team", contract.Field("servers")[0].Text("url"));

        http.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(alice));
        using var opened = await http.PostAsJsonAsync("/team/chat/conversations", new { userId = ChatApp.NewUser().Id });
        Assert.StartsWith("/team/chat/conversations/", opened.Headers.Location?.OriginalString, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(opened.Headers.Location)).StatusCode);

        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Origin", $"http://{nginx.Address.Authority}");
        await socket.ConnectAsync(
            new Uri($"ws://{nginx.Address.Authority}/team/chat/ws?token={app.TokenFor(alice)}"), CancellationToken.None);
        await using var client = new SocketClient(socket);
        await client.Next("auth_success");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/team")]
    [InlineData("/team/")]
    [InlineData("/a/b-c/d_e/~f.g")]
    public void Valid_tokens(string value) => Assert.Null(PathPrefix.Validate(value));

    [Theory]
    [InlineData("team")]
    [InlineData("/a//b")]
    [InlineData("/a b")]
    [InlineData("/a/../b")]
    [InlineData("/.")]
    [InlineData("/\"><script>")]
    [InlineData("/a?b")]
    [InlineData("/%2e")]
    [InlineData("https://example.org/team")]
    public void An_invalid_path_is_rejected(string value) =>
        Assert.StartsWith("is not a path", PathPrefix.Validate(value), StringComparison.Ordinal);

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex Loaded();
}
