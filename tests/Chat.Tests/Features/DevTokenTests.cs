using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class DevTokenTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;

    [Fact]
    public async Task A_username_maps_to_one_user_and_their_token_is_accepted()
    {
        var username = $"Dev-{Guid.NewGuid():N}";

        var first = await (await Ask(new { username })).Is(HttpStatusCode.OK);
        var again = await (await Ask(new { username = $" {username.ToUpperInvariant()} " })).Is(HttpStatusCode.OK);
        var other = await (await Ask(new { username = $"{username}-2" })).Is(HttpStatusCode.OK);

        Assert.Equal(first.Id("userId"), again.Id("userId"));
        Assert.NotEqual(first.Id("userId"), other.Id("userId"));
        await using var client = await app.Open(bearer: first.Text("token"));
        Assert.Equal(first.Id("userId"), (await client.Next("auth_success")).Id("userId"));
        var found = await (await app.AskForDirect(ChatApp.NewUser(), new { username })).Is(HttpStatusCode.Created);
        Assert.Contains(found.List("members"),
            member => member.Id("userId") == first.Id("userId"));
    }

    [Fact]
    public async Task Many_concurrent_requests_for_one_username_yield_one_user()
    {
        var username = $"Dev-{Guid.NewGuid():N}";

        var answers =
            await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ => await (await Ask(new { username })).Is(HttpStatusCode.OK)));

        Assert.Single(answers.Select(answer => answer.Id("userId")).Distinct());
        await (await app.AskForDirect(ChatApp.NewUser(), new { username })).Is(HttpStatusCode.Created);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"username":""}""")]
    [InlineData("""{"username":"   "}""")]
    [InlineData("""{"username":"a\u0000"}""")]
    [InlineData("""{"username":"12345678901234567890123456789012345678901234567890123456789012345"}""")]
    [InlineData("""{"username":5}""")]
    public async Task A_username_is_required(string body) =>
        await (await Ask(JsonSerializer.Deserialize<JsonElement>(body))).IsProblem(
            HttpStatusCode.BadRequest, "VALIDATION_ERROR", "username");

    [Theory]
    [InlineData("http://localhost:5000", "http://[::]:5000")]
    [InlineData("http://localhost:5000", "http://0.0.0.0:5000", "http://127.0.0.1:6000")]
    [InlineData("http://127.0.0.1:5000", "http://unix:/run/chat.sock", "https://127.0.0.1:5001", "http://127.0.0.1:5000")]
    [InlineData("https://127.0.0.1:5001", "https://127.0.0.1:5001")]
    [InlineData("http://127.0.0.1:5000", "http://127.0.0.1:7000", "http://127.0.0.1:5000")]
    [InlineData(null, "http://unix:/run/chat.sock", "http://127.0.0.1:7000")]
    [InlineData(null)]
    public void The_printed_addresses_work(string? named, params string[] addresses)
    {
        var kestrel = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Endpoints:Main:Url"] = "http://127.0.0.1:5000",
            ["Endpoints:Calls:Url"] = "http://127.0.0.1:7000",
            ["Endpoints:Calls:Protocols"] = "Http2",
        }).Build();

        Assert.Equal(named, DevelopmentBanner.FirstThatServes(addresses, kestrel));
    }

    [Theory]
    [InlineData("Development", ChatApp.Key, 1)]
    [InlineData("Development", null, 0)]
    [InlineData("Production", ChatApp.Key, 0)]
    [InlineData("Staging", ChatApp.Key, 0)]
    public async Task Tokens_are_only_issued_in_Development(string environment, string? key, int routes)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = environment });
        builder.Services.AddSingleton(TimeProvider.System).AddSingleton<UserDirectory>(_ => throw new NotSupportedException())
            .AddOptions<JwtSettings>().Configure(jwt => jwt.Key = key);
        await using var bare = builder.Build();

        new DevTokenModule().AddRoutes(bare);

        Assert.Equal(routes, ((IEndpointRouteBuilder)bare).DataSources.Sum(source => source.Endpoints.Count));
    }

    private Task<HttpResponseMessage> Ask(object body) => app.Http().PostAsJsonAsync("/dev/token", body);
}
