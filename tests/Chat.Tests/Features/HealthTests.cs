using System.Net;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class HealthTests
{
    [Fact]
    public async Task A_stopping_node_is_live_but_not_ready()
    {
        await using var app = await ChatApp.Start();

        await Says(app, HttpStatusCode.OK,
            """{"status":"ok","checks":{"server":"ok","postgres":"ok","redis":"ok","pubsub":"ok","issuer":"ok"}}""");
        Assert.Equal(
            """{"status":"ok","checks":{}}""", (await (await app.Http().GetAsync("/health/live")).Is(HttpStatusCode.OK)).GetRawText());

        app.Services.GetRequiredService<Hub>().TryTransition(NodeState.Stopping);

        await Says(app, HttpStatusCode.ServiceUnavailable,
            """{"status":"unavailable","checks":{"server":"stopping","postgres":"ok","redis":"ok","pubsub":"ok","issuer":"ok"}}""");
        await (await app.Http().GetAsync("/health/live")).Is(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_node_without_Redis_is_not_ready()
    {
        // Nothing listens on port 1: the connection is refused at once.
        await using var app = await ChatApp.Start(new() { ["ConnectionStrings:Redis"] = "127.0.0.1:1,connectTimeout=100,connectRetry=0" });

        await Says(
            app, HttpStatusCode.ServiceUnavailable,
            """{"status":"unavailable","checks":{"server":"ok","postgres":"ok","redis":"does not answer","pubsub":"published messages do not arrive","issuer":"ok"}}""");
        await (await app.Http().GetAsync("/health/live")).Is(HttpStatusCode.OK);

        // For deployments without another node: it is operational.
        Assert.Equal(
            """{"status":"ok","checks":{"server":"ok","postgres":"ok","issuer":"ok"}}""",
            (await (await app.Http().GetAsync("/health/ready?exclude=redis&exclude=pubsub")).Is(HttpStatusCode.OK)).GetRawText());
        await (await app.Http().GetAsync("/health/ready?exclude=redis")).Is(HttpStatusCode.ServiceUnavailable);
        await using var client = await app.Connect(ChatApp.NewUser());
        await client.Settle();
    }

    // Eventually: each check has a second or two, which a busy machine may exceed.
    private static Task Says(ChatApp app, HttpStatusCode status, string expected) => Eventually.UntilNoError(async () =>
    {
        using var response = await app.Http().GetAsync("/health/ready");
        var told = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, told) == (status, expected) ? null : $"{response.StatusCode}: {told}";
    });
}
