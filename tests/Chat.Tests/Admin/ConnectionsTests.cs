using System.Net;
using System.Text.Json;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Chat.Tests.Socket;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Admin;

/// <summary>Listing and closing a node's connections on the admin port.</summary>
public sealed class ConnectionsTests
{
    private readonly TestUser alice = ChatApp.NewUser("alice-whose-name-is-not-shown");
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task The_list_has_user_address_start_and_backlog_of_each_connection()
    {
        await using var admin = await AdminPort.Start(new() { ["Limits:AuthTimeout"] = "01:00:00" }, fakeClock: true, onKestrel: true);
        await using var early = await admin.App.Connect(alice);
        admin.App.Clock!.Advance(TimeSpan.FromSeconds(20));
        await using var late = await admin.App.Connect(bob);
        await using var nobody = await admin.App.Open();
        await early.Settle();
        await Eventually.Until("all three are there", () => admin.App.Hub().Count == 3);

        var list = await admin.Get("/connections");

        Assert.Equal("""{"connections":3,"signedIn":2,"users":2,"queueEvents":0,"queueBytes":0}""", list.Field("total").GetRawText());
        var rows = list.List("connections");
        Assert.Equal(3, rows.Length);
        Assert.Equal((alice.Id, "127.0.0.1", 20, 0), Told(rows[0]));
        Assert.Equal(
            (bob.Id, "127.0.0.1", 0, 0), Told(rows.Single(row => row.TryGetProperty("userId", out var user) && user.GetGuid() == bob.Id)));
        Assert.Single(rows, row => !row.Has("userId"));
        Assert.Equal(early.All("auth_success").Count == 1 ? early.All("auth_success")[0].Id("connectionId") : default,
            rows[0].Id("id"));
        Assert.DoesNotContain(alice.Username, list.GetRawText(), StringComparison.Ordinal);

        static (Guid, string?, long, long) Told(JsonElement row) => (
            row.Id("userId"), row.Text("address"), row.Number("ageSeconds"),
            row.Number("silentSeconds"));
    }

    [Fact]
    public async Task Filters_and_the_limit_restrict_the_list()
    {
        await using var admin = await AdminPort.Start(fakeClock: true, onKestrel: true);
        await using var first = await admin.App.Connect(alice);
        admin.App.Clock!.Advance(TimeSpan.FromSeconds(10));
        await using var second = await admin.App.Connect(alice);
        await using var third = await admin.App.Connect(bob);
        await first.Settle();

        Assert.Equal(2, await Count($"?user={alice.Id}"));
        Assert.Equal(0, await Count($"?user={Guid.NewGuid()}"));
        Assert.Equal(3, await Count("?address=127.0.0.1"));
        Assert.Equal(3, await Count("?address=127.0.0.0/8"));
        Assert.Equal(0, await Count("?address=10.0.0.0/8"));
        Assert.Equal(1, await Count("?minAge=00:00:05"));
        Assert.Equal(0, await Count($"?user={bob.Id}&minAge=00:00:05"));
        Assert.Equal(3, await Count("?minQueue=0"));
        Assert.Equal(0, await Count("?minQueue=1"));
        var cut = await admin.Get("/connections?limit=1&sort=silent");
        Assert.Single(cut.List("connections"));
        Assert.Equal((3, 3), (cut.Number("total.connections"), cut.Number("matching.connections")));

        async Task<int> Count(string query) => (await admin.Get($"/connections{query}")).List("connections").Length;
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_visible_by_its_backlog()
    {
        await using var admin = await AdminPort.Start(fakeClock: true, onKestrel: true);
        await using var reads = await admin.App.Connect(alice);
        using var stuck = await RawSocket.Connect(admin.App, bob);
        await Eventually.Until("both are there", () => admin.App.Hub().ConnectionsOf(bob.Id).Count == 1);
        var connection = admin.App.Hub().ConnectionsOf(bob.Id).Single();
        var frame = new Frame(new byte[100_000]);
        // The network buffers some megabytes; the rest stays in the queue.
        await Eventually.Until("something waits", () =>
        {
            if (connection.QueueLength < 3)
                connection.Send(frame);
            return connection.QueueLength >= 3;
        });

        var found = (await admin.Get("/connections?minQueue=1&sort=queue")).List("connections").Single();

        Assert.Equal(bob.Id, found.Id("userId"));
        Assert.InRange(found.Number("queueEvents"), 1, 10);
        Assert.InRange(found.Number("queueBytes"), 100_000, 1_000_000);
        await reads.Settle();
    }

    [Theory]
    [InlineData("?usr=00000000-0000-0000-0000-000000000001", null)]
    [InlineData("?user=alice", "user")]
    [InlineData("?user=00000000-0000-0000-0000-000000000001&user=00000000-0000-0000-0000-000000000002", "user")]
    [InlineData("?address=example.org", "address")]
    [InlineData("?minAge=60", "minAge")]
    [InlineData("?minQueue=-1", "minQueue")]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=1001", "limit")]
    [InlineData("?sort=1", "sort")]
    public async Task Invalid_arguments_are_rejected_not_ignored(string query, string? field)
    {
        await using var admin = await AdminPort.Start();

        using var answer = await admin.Send(HttpMethod.Get, $"/connections{query}");

        await answer.IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", field);
    }

    [Fact]
    public async Task A_single_connection_can_be_told_to_reconnect()
    {
        await using var admin = await AdminPort.Start();
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var phone = await admin.App.Connect(alice);
        await using var desk = await admin.App.Connect(alice);
        var id = phone.All("auth_success").Single().Id("connectionId");

        await admin.Answer(HttpMethod.Delete, $"/connections/{id}", HttpStatusCode.NoContent);

        Assert.Equal(1012, await phone.Closed());
        await desk.Settle();
        await Eventually.Until("it is gone", () => admin.App.Hub().Find(id) is null);
        await admin.Answer(HttpMethod.Delete, $"/connections/{id}", HttpStatusCode.NotFound);
        Assert.Single(log.Of(AuditLog.Category), $"Operator at 127.0.0.1 disconnected: connection {id} of user {alice.Id}");
        await Eventually.Until("its end is told", () => log.Of(AuditLog.Category)
            .Any(line => line.Contains($"on connection {id}: 1012 (closed by an operator) after ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task All_connections_of_a_user_and_no_others_are_notified()
    {
        await using var admin = await AdminPort.Start();
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var phone = await admin.App.Connect(alice);
        await using var desk = await admin.App.Connect(alice);
        await using var other = await admin.App.Connect(bob);

        Assert.Equal(2, (await admin.Answer(HttpMethod.Delete, $"/connections?user={alice.Id}", HttpStatusCode.OK)).GetProperty(
            "disconnected").GetInt32());

        Assert.Equal((1012, 1012), (await phone.Closed(), await desk.Closed()));
        await other.Settle();
        Assert.Single(log.Of(AuditLog.Category), $"Operator at 127.0.0.1 disconnected: 2 connections of user {alice.Id}");
    }

    [Theory]
    [InlineData("/connections")]
    [InlineData("/connections?user=")]
    [InlineData("/connections?address=127.0.0.1")]
    public async Task An_empty_connection_filter_is_rejected(string address)
    {
        await using var admin = await AdminPort.Start();
        await using var client = await admin.App.Connect(alice);

        await admin.Answer(HttpMethod.Delete, address, HttpStatusCode.BadRequest);

        await client.Settle();
    }

    [Fact]
    public async Task A_client_that_closes_or_disappears_is_logged_with_its_close_code()
    {
        await using var admin = await AdminPort.Start(onKestrel: true);
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var leaves = await admin.App.Connect(alice);
        await using var breaks = await admin.App.Connect(bob);

        await leaves.Leave();
        breaks.Cut();

        await Eventually.Until("both ends are told",
            () => log.Of(AuditLog.Category).Count(line => line.StartsWith("Disconnected: ", StringComparison.Ordinal)) == 2);
        Assert.Single(log.Of(AuditLog.Category), line => line.StartsWith($"Signed in: user {alice.Id} on connection ",
            StringComparison.Ordinal) && line.EndsWith(" from 127.0.0.1", StringComparison.Ordinal));
        Assert.Single(log.Of(AuditLog.Category), line => line.StartsWith($"Disconnected: user {alice.Id} from 127.0.0.1 ",
            StringComparison.Ordinal) && line.Contains(": 1000 (closed by the client) after ", StringComparison.Ordinal));
        Assert.Single(log.Of(AuditLog.Category), line => line.StartsWith($"Disconnected: user {bob.Id} from 127.0.0.1 ",
            StringComparison.Ordinal) && line.Contains(": 1006 (closed without a close frame) after ", StringComparison.Ordinal));
    }
}
