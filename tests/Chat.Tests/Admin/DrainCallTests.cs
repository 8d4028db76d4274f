using System.Net;
using Chat.Features;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Admin;

/// <summary>Draining a node and putting it back into service.</summary>
public sealed class DrainCallTests
{
    private readonly TestUser alice = ChatApp.NewUser();

    [Fact]
    public async Task Draining_closes_all_connections_rejects_new_ones_and_can_be_undone()
    {
        await using var admin = await AdminPort.Start();
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var client = await admin.App.Connect(alice);
        Assert.Equal("""{"state":"serving","connections":1}""", (await admin.Get("/drain")).GetRawText());

        var begun = await admin.Answer(HttpMethod.Post, "/drain", HttpStatusCode.Accepted);

        Assert.StartsWith("drain", begun.Text("state"), StringComparison.Ordinal);
        Assert.Equal(1012, await client.Closed());
        await Assert.ThrowsAsync<InvalidOperationException>(() => admin.App.Open());
        await Eventually.UntilNoError(
            async () => (await admin.Get("/drain")).Text("state") is "drained" ? null : "not drained");
        Assert.Equal("draining", (await admin.App.Ready(HttpStatusCode.ServiceUnavailable)).Text("server"));
        // Idempotent: done once and logged once.
        Assert.Equal(begun.Text("since"),
            (await admin.Answer(HttpMethod.Post, "/drain", HttpStatusCode.Accepted)).Text("since"));

        Assert.Equal(
            """{"state":"serving","connections":0}""", (await admin.Answer(HttpMethod.Delete, "/drain", HttpStatusCode.OK)).GetRawText());
        await admin.Answer(HttpMethod.Delete, "/drain", HttpStatusCode.OK);

        await admin.App.Ready(HttpStatusCode.OK);
        await using var again = await admin.App.Connect(alice);
        await again.Settle();
        Assert.Single(log.Of(AuditLog.Category), "Operator at 127.0.0.1 started a drain: 1 connections");
        Assert.Single(log.Of(AuditLog.Category), "Operator at 127.0.0.1 ended the drain: 0 connections remain");
        Assert.Contains(log.Of(AuditLog.Category), line => line.Contains(": 1012 (node draining) after ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Connections_not_yet_closed_when_draining_ends_stay_open()
    {
        // The clock stands still: the first batch is closed at once, and the others never.
        await using var admin = await AdminPort.Start(new() { ["Limits:AuthTimeout"] = "01:00:00" }, fakeClock: true);
        var clients = await Task.WhenAll(Enumerable.Range(0, 120).Select(_ => admin.App.Open()));
        await Eventually.Until("all are there", () => admin.App.Hub().Count == clients.Length);

        await admin.Answer(HttpMethod.Post, "/drain", HttpStatusCode.Accepted);
        await Eventually.Until("the first batch is gone", () => admin.App.Hub().Count == clients.Length - 50);
        await admin.Answer(HttpMethod.Delete, "/drain", HttpStatusCode.OK);
        admin.App.Clock!.Advance(TimeSpan.FromSeconds(30));

        var stayed = clients.Where(client => !client.IsClosed).ToArray();
        Assert.Equal(70, stayed.Length);
        foreach (var client in stayed)
            await client.Settle();
        foreach (var client in clients)
            await client.DisposeAsync();
        await Eventually.Until("the node is empty", () => admin.App.Hub().Count == 0);
    }

    [Fact]
    public async Task Connections_opened_around_a_drain_are_admitted_or_told_to_reconnect()
    {
        await using var admin = await AdminPort.Start(new() { ["Limits:DrainSpread"] = "00:00:00.1", ["Limits:AuthTimeout"] = "01:00:00" });
        var drain = admin.App.Services.GetRequiredService<Drain>();
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var coming = Enumerable.Range(0, 4).Select(_ => Task.Run(() => ComeAndStay(admin.App, over.Task))).ToArray();
        await Eventually.Until("somebody is there", () => admin.App.Hub().Count > 0);

        for (var i = 0; i < 25; i++)
        {
            Assert.True(drain.TryBegin());
            // Every connection was told to close, including those that were opening.
            await Eventually.Until("the node is empty", () => admin.App.Hub().Count == 0);
            Assert.True(await drain.TryEndAsync());
            await Eventually.Until("somebody is back", () => admin.App.Hub().Count > 0);
        }

        over.SetResult();
        var stayed = await Task.WhenAll(coming);
        foreach (var client in stayed)
        {
            await client.Settle();
            await client.DisposeAsync();
        }

        await Eventually.Until("the node is empty", () => admin.App.Hub().Count == 0);
    }

    [Fact]
    public async Task A_stopping_node_cannot_be_put_back_into_service()
    {
        await using var admin = await AdminPort.Start();
        var drain = admin.App.Services.GetRequiredService<Drain>();
        Assert.True(drain.TryBegin());

        admin.App.Services.GetRequiredService<Hub>().TryTransition(NodeState.Stopping);

        Assert.False(drain.TryBegin());
        Assert.False(await drain.TryEndAsync());
        Assert.Equal("stopping", (await admin.Get("/drain")).Text("state"));
        await admin.Answer(HttpMethod.Post, "/drain", HttpStatusCode.Conflict);
        await admin.Answer(HttpMethod.Delete, "/drain", HttpStatusCode.Conflict);
    }

    // Like a client: reconnects after each rejection or close until it is admitted.
    private static async Task<SocketClient> ComeAndStay(ChatApp app, Task over)
    {
        while (true)
        {
            SocketClient client;
            try
            {
                client = await app.Open();
            }
            catch (InvalidOperationException)
            {
                // 503: the node admits no one at the moment.
                continue;
            }

            // The close may still be in flight.
            if (await Task.WhenAny(client.Closed(), over) == over && await Record.ExceptionAsync(client.Settle) is null)
                return client;
            Assert.Equal(1012, await client.Closed());
            await client.DisposeAsync();
        }
    }
}
