using System.Net;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Edge;

public sealed class RequestLimitTests
{
    [Fact]
    public async Task A_user_makes_only_so_many_requests_and_takes_none_from_others()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:RequestsPerSecond"] = "1" });
        var user = ChatApp.NewUser();
        using var client = app.Http(user);
        // Two at once, and one more every second: of many, some are too many, however slow the machine is.
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => client.GetAsync("/chat/unread")));

        Assert.Contains(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        var refused = answers.First(answer => answer.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 100);
        var problem = await refused.Is(HttpStatusCode.TooManyRequests);
        Assert.Equal("RATE_LIMITED", problem.GetProperty("code").GetString());
        Assert.True(problem.GetProperty("retryAfterMs").GetInt32() > 0);

        await (await app.Http(ChatApp.NewUser()).GetAsync("/chat/unread")).Is(HttpStatusCode.OK);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => app.Http().GetAsync("/health/live"))), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
    }

    [Fact]
    public async Task A_user_blocks_only_so_many_people()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:MaxBlocks"] = "1" });
        await using var client = await app.Connect(ChatApp.NewUser());
        var (first, second) = (ChatApp.NewUser(), ChatApp.NewUser());

        Assert.Equal("block.added", (await client.Block(first)).Type);
        Assert.Equal("block.added", (await client.Block(first)).Type);
        Assert.Equal("VALIDATION_ERROR", (await client.Block(second))["code"].GetString());

        await client.Unblock(first);
        Assert.Equal("block.added", (await client.Block(second)).Type);
    }
}
