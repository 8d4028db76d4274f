using System.Net;
using Chat.RateLimiting;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Socket;

/// <summary>Each limit on a server of its own, because it is per node.</summary>
public sealed class AdmissionTests
{
    private const int ComeBackLater = 1013;

    [Fact]
    public async Task Connections_per_user_are_limited()
    {
        await using var app = await With("MaxConnectionsPerUser", 2);
        var user = ChatApp.NewUser();
        var first = await app.Connect(user);
        await using var second = await app.Connect(user);

        await using var third = await app.Open(bearer: app.TokenFor(user));
        Assert.Equal(ComeBackLater, await third.Closed());

        await first.Leave();
        await using var stranger = await app.Connect(ChatApp.NewUser());
        // The client sees the end of a connection before the server has processed it.
        await Eventually.UntilNoError(async () =>
        {
            await using var again = await app.Open(bearer: app.TokenFor(user));
            return (await Record.ExceptionAsync(again.Settle))?.Message;
        });
    }

    [Theory]
    [InlineData("MaxConnections")]
    [InlineData("MaxConnectionsPerAddress")]
    public async Task Connections_are_limited_per_node_and_per_address(string limit)
    {
        await using var app = await With(limit, 1);
        await using var first = await app.Connect(ChatApp.NewUser());

        await using var second = await app.Open(bearer: app.TokenFor(ChatApp.NewUser()));

        Assert.Equal(ComeBackLater, await second.Closed());
        Assert.Empty(second.Frames);
        await first.Settle();
    }

    [Fact]
    public async Task Unauthenticated_connections_only_take_slots_from_each_other()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:MaxUnauthenticated"] = "1" }, onKestrel: true);
        await using var silent = await app.Open();

        var refused = await app.Http().SendAsync(Handshake());
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Equal(
            1000, (await refused.IsProblem(HttpStatusCode.ServiceUnavailable, "UNAVAILABLE")).Number("retryAfterMs"));
        await silent.Send("auth", new { token = app.TokenFor(ChatApp.NewUser()) });
        await silent.Next("auth_success");

        await using var next = await app.Connect(ChatApp.NewUser());
        await next.Settle();
    }

    [Fact]
    public async Task Handshakes_are_rate_limited()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:HandshakesPerSecond"] = "1" }, fakeClock: true, onKestrel: true);
        await using var first = await app.Open();
        await using var second = await app.Open();

        var refused = await app.Http().SendAsync(Handshake());
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Equal(503, (int)refused.StatusCode);

        app.Clock!.Advance(TimeSpan.FromSeconds(1));
        await using var third = await app.Connect(ChatApp.NewUser());
        await third.Settle();
    }

    [Fact]
    public async Task Concurrent_sign_ins_are_throttled_without_rejecting_any()
    {
        await using var app = await ChatApp.Start();
        var services = app.Services;
        var door = new Door();
        using var authentication = new SocketAuthenticator(
            services.GetRequiredService<TokenValidator>(), new Hub(), [], [door], services.GetRequiredService<SignInLimiter>(),
            services.GetRequiredService<DatabaseEpoch>(), services.GetRequiredService<AuditLog>(), new Limits(), TimeProvider.System);
        var pairs =
            await Task.WhenAll(Enumerable.Range(0, SocketAuthenticator.MaxConcurrency + 8).Select(_ => LoopbackWebSocket.OpenAsync()));
        var connections = pairs.Select(pair => pair.Accept(
            new Limits(), services.GetRequiredService<ServerMetrics>(), TimeProvider.System,
            services.GetRequiredService<Admission>().TryEnter(IPAddress.None, hasToken: true)!)).ToArray();

        var letIn = connections.Select(
            connection => authentication.AuthenticateAsync(app.TokenFor(ChatApp.NewUser()), connection, id: null).AsTask()).ToArray();
        // Waiting connections have signed in already: the authentication timeout does not apply.
        await Eventually.Until("all are signed in", () => connections.All(connection => connection.IsAuthenticated));
        await Eventually.Until("the door is full", () => door.Inside == SocketAuthenticator.MaxConcurrency);

        door.Open();
        await Task.WhenAll(letIn);
        Assert.Equal((SocketAuthenticator.MaxConcurrency, connections.Length), (door.Most, door.Passed));
        foreach (var pair in pairs)
            pair.Dispose();
    }

    [Fact]
    public async Task A_user_takes_at_most_two_sign_in_permits_while_others_are_admitted()
    {
        await using var app = await ChatApp.Start();
        var services = app.Services;
        var (alice, door) = (ChatApp.NewUser(), new Door());
        door.Holds = connection => connection.User.Id == alice.Id;
        using var authentication = new SocketAuthenticator(
            services.GetRequiredService<TokenValidator>(), new Hub(), [], [door], services.GetRequiredService<SignInLimiter>(),
            services.GetRequiredService<DatabaseEpoch>(), services.GetRequiredService<AuditLog>(), new Limits(), TimeProvider.System);
        var pairs =
            await Task.WhenAll(Enumerable.Range(0, SocketAuthenticator.MaxConcurrency + 8).Select(_ => LoopbackWebSocket.OpenAsync()));
        var connections = pairs.Select(pair => pair.Accept(
            new Limits(), services.GetRequiredService<ServerMetrics>(), TimeProvider.System,
            services.GetRequiredService<Admission>().TryEnter(IPAddress.Loopback, hasToken: true)!)).ToArray();

        var own = connections[1..].Select(
            connection => authentication.AuthenticateAsync(app.TokenFor(alice), connection, id: null).AsTask()).ToArray();
        await Eventually.Until("the user's turns are taken", () => door.Inside == SignInLimiter.MaxPerUser);
        await authentication.AuthenticateAsync(app.TokenFor(ChatApp.NewUser()), connections[0], id: null).AsTask()
            .WaitAsync(Eventually.Timeout);
        Assert.Equal((1, 2), (door.Passed, door.Inside));

        door.Open();
        await Task.WhenAll(own);
        Assert.Equal((3, connections.Length), (door.Most, door.Passed));
        foreach (var pair in pairs)
            pair.Dispose();
    }

    /// <summary>Holds connections that are being admitted until it is opened.</summary>
    private sealed class Door : IConnectionObserver
    {
        private readonly TaskCompletionSource opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Lock gate = new();

        public Func<Connection, bool> Holds { get; set; } = _ => true;

        public int Inside { get; private set; }

        public int Most { get; private set; }

        public int Passed { get; private set; }

        public void Open() => opened.SetResult();

        public async ValueTask OnOpeningAsync(Connection connection)
        {
            lock (gate)
                Most = Math.Max(Most, ++Inside);
            if (Holds(connection))
                await opened.Task;
            lock (gate)
                (Inside, Passed) = (Inside - 1, Passed + 1);
        }
    }

    private static Task<ChatApp> With(string limit, int value) => ChatApp.Start(new() { [$"Limits:{limit}"] = $"{value}" });

    private static HttpRequestMessage Handshake() => new(HttpMethod.Get, "/chat/ws")
    {
        Headers =
        {
            { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" },
                { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" },
        },
    };
}
