using System.Net;
using System.Net.Http.Json;
using Chat.Edge;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Edge;

/// <summary>In Development, a page whose host name resolves to this machine (DNS rebinding) is rejected.</summary>
public sealed class LocalHostTests(LocalHostTests.Listening shared) : IClassFixture<LocalHostTests.Listening>
{
    public sealed class Listening : IAsyncLifetime
    {
        public ChatApp App { get; private set; } = null!;

        public async Task InitializeAsync() => App = await ChatApp.Start(onKestrel: true);

        public async Task DisposeAsync() => await App.DisposeAsync();
    }

    [Theory]
    [InlineData("localhost", true)]
    [InlineData("LocalHost:5000", true)]
    [InlineData("chat.localhost:5000", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.3.2.1:80", true)]
    [InlineData("[::1]:5000", true)]
    [InlineData("evil.example", false)]
    [InlineData("evil.example:5000", false)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("notlocalhost", false)]
    [InlineData("127.0.0.1.evil.example", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("10.0.0.1", false)]
    [InlineData("[fe80::1]", false)]
    public async Task Only_loopback_host_names_are_answered(string host, bool isAnswered)
    {
        foreach (var address in (string[])["/", "/client.json", "/dev/token", "/chat/ws"])
        {
            using var request =
                new HttpRequestMessage(address == "/dev/token" ? HttpMethod.Post : HttpMethod.Get, address) { Headers = { Host = host } };
            if (address == "/dev/token")
                request.Content = JsonContent.Create(new { username = $"user-{Guid.NewGuid():N}" });
            using var http = new HttpClient { BaseAddress = shared.App.Address };
            using var answer = await http.SendAsync(request);

            if (isAnswered)
                Assert.NotEqual(HttpStatusCode.MisdirectedRequest, answer.StatusCode);
            else
                await answer.IsProblem(HttpStatusCode.MisdirectedRequest, "VALIDATION_ERROR");
        }
    }

    [Fact]
    public async Task Other_hosts_can_be_allowed_by_AllowedHosts()
    {
        await using var app = await ChatApp.Start(new() { ["AllowedHosts"] = "chat.example" });
        using var asked = new HttpRequestMessage(HttpMethod.Get, "http://chat.example/client.json");
        using var foreign = new HttpRequestMessage(HttpMethod.Get, "http://evil.example/client.json");
        using var http = app.Alba.Server.CreateClient();

        Assert.Equal(HttpStatusCode.OK, (await http.SendAsync(asked)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await http.SendAsync(foreign)).StatusCode);
    }

    [Fact]
    public void An_HTTP_1_0_request_needs_no_host() => Assert.True(LocalHosts.IsLocal(""));
}
