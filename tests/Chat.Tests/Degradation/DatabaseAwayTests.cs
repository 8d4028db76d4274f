using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using Chat.Features;
using Chat.Socket;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Degradation;

/// <summary>
/// PostgreSQL refuses connections, or accepts statements without answering: requests that need it fail within five seconds, all
/// others succeed, and everything works again afterwards.
/// </summary>
public sealed class DatabaseAwayTests
{
    // Enough that none is left, or enough that every request has one: one fault at a time.
    private const int SmallPool = 6;
    private const int LargePool = 40;
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>What does not need the database.</summary>
    private static readonly string[] WithoutDatabase = ["ping", "auth", "typing.stop"];

    /// <summary>Endpoints that do not need it, or report on it.</summary>
    private static readonly string[] WithoutDatabaseOrToTellOfIt = ["/health/", "/openapi/", "/client.json", SocketEndpoint.Path];

    /// <summary>Each event that does, with a valid payload.</summary>
    private static readonly (string Type, Func<Guid, Guid, object> Payload)[] Events =
    [
        ("message.send", (conversation, _) => new { conversationId = conversation, content = "hi", tempId = "t1" }),
        ("message.send", (_, unknown) => new { conversationId = unknown, content = "hi", tempId = "t1" }),
        ("message.read", (conversation, _) => new { conversationId = conversation }),
        ("message.delivered", (conversation, _) => new { conversationId = conversation, upTo = 1 }),
        ("sync", (_, _) => new { conversations = new { } }),
        ("typing.start", (_, unknown) => new { conversationId = unknown }),
        ("block.add", (_, unknown) => new { userId = unknown }),
        ("block.add", (_, _) => new { username = "somebody" }),
        ("block.remove", (_, unknown) => new { userId = unknown }),
    ];

    /// <summary>Each endpoint that does, by its route, with a valid body.</summary>
    private static readonly (string Route, Func<Guid, Guid, (string Path, object? Body)> Request)[] Calls =
    [
        ("POST /chat/conversations", (_, unknown) => ("/chat/conversations", new { userId = unknown })),
        ("GET /chat/conversations", (_, _) => ("/chat/conversations", null)),
        ("GET /chat/conversations/{id:guid}", (conversation, _) => ($"/chat/conversations/{conversation}", null)),
        ("GET /chat/conversations/{id:guid}/messages", (conversation, _) => ($"/chat/conversations/{conversation}/messages", null)),
        ("POST /chat/conversations/{id:guid}/messages",
        (conversation, _) => ($"/chat/conversations/{conversation}/messages", new { content = "hi", tempId = "t2" })),
        ("POST /chat/conversations/{id:guid}/read", (conversation, _) => ($"/chat/conversations/{conversation}/read", new { })),
        ("GET /chat/unread", (_, _) => ("/chat/unread", null)),
        ("GET /chat/blocks", (_, _) => ("/chat/blocks", null)),
        ("PUT /chat/blocks/{userId:guid}", (_, unknown) => ($"/chat/blocks/{unknown}", null)),
        ("DELETE /chat/blocks/{userId:guid}", (_, unknown) => ($"/chat/blocks/{unknown}", null)),
        ("GET /chat/presence", (_, unknown) => ($"/chat/presence?userIds={unknown}", null)),
        ("DELETE /chat/sessions", (_, _) => ("/chat/sessions", null)),
        ("POST /admin/users/{id:guid}/revoke", (_, unknown) => ($"/admin/users/{unknown}/revoke", null)),
        ("POST /admin/usernames/release", (_, _) => ("/admin/usernames/release", new { username = "somebody" })),
        ("POST /admin/usernames/move", (_, unknown) => ("/admin/usernames/move", new { username = "somebody", userId = unknown })),
        ("POST /dev/token", (_, _) => ("/dev/token", new { username = "somebody" })),
    ];

    [Fact]
    public async Task Every_event_and_every_endpoint_is_covered()
    {
        await using var app = await ChatApp.Start();
        var routes = Routes.Of(app)
            .Where(route => !WithoutDatabaseOrToTellOfIt.Any(other => route.Split(' ')[1].StartsWith(other, StringComparison.Ordinal)));

        Assert.Equal(routes, Calls.Select(call => call.Route).Order());
        Assert.Equal(app.Services.GetRequiredService<SocketDispatcher>().Names.Except(WithoutDatabase).Order(),
            Events.Select(one => one.Type).Distinct().Order());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whatever_needs_the_database_is_answered_UNAVAILABLE_within_five_seconds(bool isPoolExhausted)
    {
        var servers = await TestServers.Get();
        await using var app = await ChatApp.Start(
            new() { ["ConnectionStrings:Postgres"] = $"{servers.Postgres};Maximum Pool Size={(isPoolExhausted ? SmallPool : LargePool)}" });
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var talking = await app.Connect(alice);
        Assert.Equal("message.sent", (await talking.SendMessage(conversation, "before", "t0")).Type);
        var clients = new List<SocketClient>();
        foreach (var _ in Events)
            clients.Add(await app.Connect(alice));
        await using var outage = isPoolExhausted ? await Outage.OfThePool(app) : await Outage.OfTheTables(app, servers);

        var answers = await Task.WhenAll(
            Events.Zip(clients, (one, client) => Timed(one.Type, () => client.Ask(one.Type, one.Payload(conversation, Guid.NewGuid())))));
        Assert.All(answers.Zip(Events), one =>
        {
            var ((answer, took), (type, _)) = one;
            Assert.True(took < Soon, $"{type} took {took}");
            answer.IsError("UNAVAILABLE");
            Assert.Equal((true, 1000), (answer.Flag("retryable"), answer.Number("retryAfterMs")));
        });

        // Nor by a user whom the directory does not know yet.
        foreach (var caller in (TestUser[])[alice, ChatApp.NewUser()])
        {
            var responses = await Task.WhenAll(
                Calls.Select(call => Timed(call.Route, () => Send(app, caller, call.Route, call.Request(conversation, Guid.NewGuid())))));
            foreach (var ((response, took), (route, _)) in responses.Zip(Calls))
            {
                // A non-member of the conversation, whose membership must be queried.
                Assert.True(took < Soon, $"{route} took {took}");
                if (caller != alice && response.StatusCode == HttpStatusCode.NotFound)
                    continue;
                Assert.True(response.StatusCode == HttpStatusCode.ServiceUnavailable, $"{route}: {response.StatusCode}");
                var problem = await response.IsProblem(HttpStatusCode.ServiceUnavailable, "UNAVAILABLE");
                Assert.Equal((true, 1000), (problem.Flag("retryable"), problem.Number("retryAfterMs")));
                Assert.Equal("1", response.Headers.GetValues("Retry-After").Single());
            }
        }

        await talking.Settle();
        await (await app.Http().GetAsync("/health/live")).Is(HttpStatusCode.OK);
        if (isPoolExhausted)
        {
            await Eventually.UntilNoError(async () =>
            {
                var checks = await app.Ready(HttpStatusCode.ServiceUnavailable);
                return (checks.Text("postgres"), checks.Text("redis")) == ("does not answer", "ok")
                    ? null : $"{checks}";
            });
        }

        await outage.End();
        var endedAt = Stopwatch.GetTimestamp();
        await Eventually.UntilNoError(async () => (await talking.SendMessage(
            conversation, "after", "t9")) is { Type: not "message.sent" } refused ? $"{refused["code"]}" : null, Soon);
        Assert.InRange(Stopwatch.GetElapsedTime(endedAt), TimeSpan.Zero, Soon);
        await app.Ready(HttpStatusCode.OK);
        foreach (var client in clients)
        {
            await client.Settle();
            await client.DisposeAsync();
        }
    }

    private static async Task<(T Answer, TimeSpan Took)> Timed<T>(string what, Func<Task<T>> ask)
    {
        var began = Stopwatch.GetTimestamp();
        var asked = ask();
        Assert.True(await Task.WhenAny(asked, Eventually.After(Soon * 2)) == asked, $"{what}: no answer");
        return (await asked, Stopwatch.GetElapsedTime(began));
    }

    private static async Task<HttpResponseMessage> Send(ChatApp app, TestUser caller, string route, (string Path, object? Body) wanted)
    {
        using var client = app.Http();
        client.DefaultRequestHeaders.Authorization = new("Bearer", app.TokenFor(caller, scope: "chat.admin"));
        using var request = new HttpRequestMessage(HttpMethod.Parse(route.Split(' ')[0]), wanted.Path);
        if (wanted.Body is not null)
            request.Content = JsonContent.Create(wanted.Body);
        return await client.SendAsync(request);
    }

    /// <summary>Keeps the server from its database until disposed.</summary>
    private sealed class Outage(IReadOnlyList<NpgsqlConnection> held, NpgsqlDataSource? own = null) : IAsyncDisposable
    {
        /// <summary>Takes all of the server's connections.</summary>
        public static async Task<Outage> OfThePool(ChatApp app)
        {
            var held = new List<NpgsqlConnection>();
            while (held.Count < SmallPool)
                held.Add(await app.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync());
            while (held.Count < SmallPool + ConversationLog.MaxConnections)
                held.Add(await app.Services.GetRequiredKeyedService<NpgsqlDataSource>(ConversationLog.Connections).OpenConnectionAsync());
            return new Outage(held);
        }

        /// <summary>Locks all tables of the server, so that every query hangs.</summary>
        public static async Task<Outage> OfTheTables(ChatApp app, TestServers servers)
        {
            var source = NpgsqlDataSource.Create(servers.Postgres);
            var connection = await source.OpenConnectionAsync();
            await new NpgsqlCommand("begin", connection).ExecuteNonQueryAsync();
            var schema = app.Services.GetRequiredService<TableNames>().Message.Split('.')[0];
            await using var all =
                new NpgsqlCommand(
                    $"select string_agg(format('%I.%I', schemaname, tablename), ', ') from pg_tables where schemaname = '{schema}'",
                    connection);
            var tables = (string)(await all.ExecuteScalarAsync())!;
            await new NpgsqlCommand($"lock table {tables} in access exclusive mode", connection).ExecuteNonQueryAsync();
            return new Outage([connection], source);
        }

        public async Task End()
        {
            foreach (var connection in held)
                await connection.CloseAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await End();
            if (own is not null)
                await own.DisposeAsync();
        }
    }
}
