using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Chat.Features;
using Chat.RateLimiting;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Observing;

/// <summary>Each enforced limit is counted once, under the name of its setting.</summary>
public sealed class LimitMetricsTests
{
    /// <summary>Settings that are not limits themselves: durations, intervals, spreads, and concurrency where excess work waits.</summary>
    private static readonly string[] NoLimits =
        [nameof(Limits.ErrorWindow), nameof(Limits.PingInterval), nameof(Limits.DrainSpread), nameof(Limits.UserConcurrency)];

    /// <summary>Each limit with the value it is set to, and what a client does to hit it once.</summary>
    private static readonly Dictionary<string, (string Value, Func<ChatApp, Task> Hit)> OnANode = new()
    {
        [nameof(Limits.MaxFrameBytes)] = ("50000", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            await client.SendText(new string(' ', 50_001));
            Assert.Equal(1009, await client.Closed());
        }
        ),
        [nameof(Limits.MaxEmptyFragments)] = ("1", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            for (var i = 0; i < 3; i++)
                await client.SendBytes([], endOfMessage: false);
            Assert.Equal(1009, await client.Closed());
        }
        ),
        [nameof(Limits.MaxContentLength)] = ("3", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            (await client.SendMessage(Guid.NewGuid(), "long")).IsError("VALIDATION_ERROR", "content");
            (await client.SendMessage(Guid.NewGuid(), "  ")).IsError("VALIDATION_ERROR", "content");
        }
        ),
        [nameof(Limits.MaxConnections)] = ("1", TwoAreTooMany),
        [nameof(Limits.MaxConnectionsPerAddress)] = ("1", TwoAreTooMany),
        [nameof(Limits.MaxConnectionsPerUser)] = ("1", TwoAreTooMany),
        [nameof(Limits.MaxUnauthenticated)] = ("1", async app =>
        {
            await using var silent = await app.Open();
            await Assert.ThrowsAsync<WebSocketException>(() => app.Open());
        }
        ),
        [nameof(Limits.HandshakesPerSecond)] = ("1", async app =>
        {
            await using var first = await app.Open();
            await using var second = await app.Open();
            await Assert.ThrowsAsync<WebSocketException>(() => app.Open());
        }
        ),
        [nameof(Limits.MaxHttpConnections)] = ("2", async app =>
        {
            var silent = new TcpClient[3];
            for (var i = 0; i < silent.Length; i++)
                await (silent[i] = new TcpClient()).ConnectAsync("127.0.0.1", app.Address.Port);
            // The earliest one, and no other.
            await IsCut(silent[0]);
            await silent[2].GetStream().WriteAsync("GET /health/live HTTP/1.0\r\n\r\n"u8.ToArray());
            Assert.StartsWith("HTTP/1.1 200", await new StreamReader(silent[2].GetStream()).ReadToEndAsync(), StringComparison.Ordinal);
            foreach (var one in silent)
                one.Dispose();
        }
        ),
        [nameof(Limits.AddressShare)] = ("1", async app =>
        {
            // One percent of 2,000 a second, with a burst of twice as many.
            for (var i = 0; i < 40; i++)
                (await app.Open()).Cut();
            await Assert.ThrowsAsync<WebSocketException>(() => app.Open());
            // Reserved for connections with a token.
            await using var other = await app.Connect(ChatApp.NewUser());
        }
        ),
        [nameof(Limits.RequestHeadersTimeout)] = ("00:00:10", async app =>
        {
            using var silent = new TcpClient();
            await silent.ConnectAsync("127.0.0.1", app.Address.Port);
            var cut = IsCut(silent);
            await Eventually.Until("it is cut", () =>
            {
                app.Clock!.Advance(TimeSpan.FromSeconds(1));
                return cut.IsCompleted;
            });
            await cut;
        }
        ),
        [nameof(Limits.MessagesPerSecond)] = ("1", ThreeAreTooFast),
        [nameof(Limits.MessagesPerSecondPerUser)] = ("1", ThreeAreTooFast),
        [nameof(Limits.EventsPerSecond)] = ("1", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            await client.Settle();
            await client.Settle();
            (await client.Ask("ping", new { })).IsError("RATE_LIMITED");
        }
        ),
        [nameof(Limits.MaxErrors)] = ("2", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            await client.Send("nonsense", new { });
            await client.Send("nonsense", new { });
            Assert.Equal(4503, await client.Closed());
        }
        ),
        [nameof(Limits.RequestsPerSecond)] = ("1", async app =>
        {
            using var client = app.Http(ChatApp.NewUser());
            for (var i = 0; i < 2; i++)
                Assert.True((await client.GetAsync("/chat/unread")).IsSuccessStatusCode);
            var refused = await client.GetAsync("/chat/unread");
            Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
            Assert.True((await refused.IsProblem(System.Net.HttpStatusCode.TooManyRequests, "RATE_LIMITED")).Number("retryAfterMs") > 0);
            // Not of other users, nor of health probes.
            Assert.True((await app.Http(ChatApp.NewUser()).GetAsync("/chat/unread")).IsSuccessStatusCode);
            Assert.All(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => app.Http().GetAsync("/health/live"))),
                answer => Assert.True(answer.IsSuccessStatusCode));
            app.Clock!.Advance(TimeSpan.FromSeconds(1));
            Assert.True((await client.GetAsync("/chat/unread")).IsSuccessStatusCode);
        }
        ),
        [nameof(Limits.UserQueue)] = ("1", async app =>
        {
            var alice = ChatApp.NewUser();
            var turns = app.Services.GetRequiredService<WorkLimiter>();
            using var all = await turns.AcquireAsync(alice.Id, WorkLimiter.Exclusive);
            var waiting = app.Http(alice).GetAsync("/chat/unread");
            await Eventually.Until("it waits", () => turns.QueuedCount == 1);
            await (await app.Http(alice).GetAsync("/chat/unread")).IsProblem(System.Net.HttpStatusCode.TooManyRequests, "RATE_LIMITED");
            await using var client = await app.Connect(ChatApp.NewUser());
            Assert.True((await app.Http(ChatApp.NewUser()).GetAsync("/chat/unread")).IsSuccessStatusCode);
            all!.Dispose();
            Assert.True((await waiting).IsSuccessStatusCode);
        }
        ),
        [nameof(Limits.ConversationsPerMinute)] = ("1", async app =>
        {
            var alice = ChatApp.NewUser();
            var known = ChatApp.NewUser();
            await app.OpenDirect(alice, known);
            await app.OpenDirect(alice, ChatApp.NewUser());
            await (await app.AskForDirect(alice, new { userId = Guid.NewGuid() })).IsProblem(
                System.Net.HttpStatusCode.TooManyRequests, "RATE_LIMITED");
            await app.OpenDirect(alice, known);
            app.Clock!.Advance(TimeSpan.FromMinutes(1));
            await app.OpenDirect(alice, ChatApp.NewUser());
        }
        ),
        [nameof(Limits.MaxConversations)] = ("2", async app =>
        {
            var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
            await app.OpenDirect(alice, bob);
            await app.OpenDirect(alice, ChatApp.NewUser());
            await (await app.AskForDirect(alice, new { userId = Guid.NewGuid() })).IsProblem(
                System.Net.HttpStatusCode.Conflict, "LIMIT_REACHED", "conversations");
            // Existing conversations are found, and others may still open one with the user.
            await app.OpenDirect(alice, bob);
            await app.OpenDirect(ChatApp.NewUser(), alice);
        }
        ),
        [nameof(Limits.MaxUnknownContacts)] = ("1", async app =>
        {
            var alice = ChatApp.NewUser();
            await app.OpenDirect(alice, ChatApp.NewUser());
            await (await app.AskForDirect(alice, new { userId = Guid.NewGuid() })).IsProblem(
                System.Net.HttpStatusCode.NotFound, "NOT_FOUND");
        }
        ),
        [nameof(Limits.MaxBlocks)] = ("1", async app =>
        {
            await using var client = await app.Connect(ChatApp.NewUser());
            var (first, second) = (ChatApp.NewUser(), ChatApp.NewUser());
            Assert.Equal("block.added", (await client.Block(first)).Type);
            Assert.Equal("block.added", (await client.Block(first)).Type);
            (await client.Block(second)).IsError("VALIDATION_ERROR", "userId");
            await client.Unblock(first);
            Assert.Equal("block.added", (await client.Block(second)).Type);
        }
        ),
        [nameof(Limits.LogQueue)] = ("1", async app =>
        {
            var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
            var conversation = await app.OpenDirect(alice, bob);
            await using var held = await HeldLock.OfHead(app, conversation);
            var inHand = app.SendOverRest(alice, conversation, "in hand");
            await held.IsWaitedFor();
            Task<HttpResponseMessage>[] both =
                [app.SendOverRest(alice, conversation, "waiting"), app.SendOverRest(alice, conversation, "waiting")];
            await (await await Task.WhenAny(both)).IsProblem(System.Net.HttpStatusCode.ServiceUnavailable, "UNAVAILABLE");
            await held.Release();
            await Task.WhenAll([inHand, .. both]);
        }
        ),
    };

    /// <summary>Each limit as hit by a single connection whose socket accepts nothing.</summary>
    private static readonly Dictionary<string, Action<Connection, Deaf, FakeTimeProvider>> OnAConnection = new()
    {
        [nameof(Limits.SendQueueEvents)] = (connection, _, _) =>
        {
            for (var i = 0; i < 12; i++)
                connection.Send(new Frame(new byte[1]));
        },
        [nameof(Limits.SendQueueBytes)] = (connection, _, _) =>
        {
            // One is being written, and two fill the queue, whatever their size.
            for (var i = 0; i < 4; i++)
                connection.Send(new Frame(new byte[5000]));
        },
        [nameof(Limits.WriteTimeout)] = (connection, socket, clock) =>
        {
            connection.Send(new Frame(new byte[1]));
            // The timeout starts here, not when the frame has left the queue.
            Assert.True(socket.Writing.Wait(Eventually.Timeout));
            clock.Advance(TimeSpan.FromSeconds(11));
        },
        [nameof(Limits.AuthTimeout)] = (_, _, clock) => clock.Advance(TimeSpan.FromSeconds(10)),
        [nameof(Limits.CloseTimeout)] = (connection, _, clock) =>
        {
            connection.Close(Disconnect.ServerStopping);
            clock.Advance(TimeSpan.FromSeconds(6));
        },
        [nameof(Limits.PingTimeout)] = (connection, _, clock) =>
        {
            connection.TrySignIn(new(new(Guid.NewGuid(), null, null, null), default, DateTimeOffset.MaxValue, null));
            clock.Advance(TimeSpan.FromSeconds(45));
        },
    };

    public static TheoryData<string> LimitsOfANode => [.. OnANode.Keys];

    public static TheoryData<string> LimitsOfAConnection => [.. OnAConnection.Keys];

    [Fact]
    public void Every_limit_is_covered() => Assert.Equal(
        typeof(Limits).GetProperties().Select(property => property.Name).Except(NoLimits).Order(),
        OnANode.Keys.Concat(OnAConnection.Keys).Order());

    [Theory]
    [MemberData(nameof(LimitsOfANode))]
    public async Task A_limit_hit_is_counted_on_a_node(string limit)
    {
        var (value, hit) = OnANode[limit];
        await using var app = await ChatApp.Start(
            new() { [$"Limits:{nameof(Limits.AddressShare)}"] = "100", [$"Limits:{limit}"] = value }, fakeClock: true, onKestrel: true);
        using var hits = app.Measure<int>("chat.limits.hit");

        await hit(app);

        Assert.Equal((1, 1), (hits.Sum("limit", limit), hits.Sum()));
    }

    [Theory]
    [MemberData(nameof(LimitsOfAConnection))]
    public async Task A_limit_hit_is_counted_on_a_connection(string limit)
    {
        await using var services = new ServiceCollection().AddMetrics().AddSingleton<ServerMetrics>().BuildServiceProvider();
        var metrics = services.GetRequiredService<ServerMetrics>();
        var clock = new FakeTimeProvider();
        var limits = new Limits { SendQueueEvents = 10, SendQueueBytes = 1000 };
        using var socket = new Deaf();
        using var place = new Admission(new Hub(), limits, new HandshakeRateLimiter(limits, clock), metrics, clock).TryEnter(
            IPAddress.None, hasToken: false);
        var connection = new Connection(
            socket, new Transport(new HttpRequestLifetimeFeature()), limits, metrics, clock, new ActivityTracker(clock), place);
        using var hits = services.Measure<int>("chat.limits.hit");

        OnAConnection[limit](connection, socket, clock);
        for (var beat = 0; beat < 3; beat++)
            connection.EnforceTimeouts();

        Assert.Equal((1, 1), (hits.Sum("limit", limit), hits.Sum()));
    }

    [Fact]
    public async Task A_limit_hit_is_counted_before_the_client_is_answered()
    {
        await using var services = new ServiceCollection().AddMetrics().AddSingleton<ServerMetrics>().BuildServiceProvider();
        var metrics = services.GetRequiredService<ServerMetrics>();
        var clock = new FakeTimeProvider();
        using var socket = new Deaf();
        using var place = new Admission(new Hub(), new Limits(), new HandshakeRateLimiter(new Limits(), clock), metrics, clock).TryEnter(
            IPAddress.None, hasToken: false);
        var connection = new Connection(
            socket, new Transport(new HttpRequestLifetimeFeature()), new Limits(), metrics, clock, new ActivityTracker(clock), place);
        var isTooLate = false;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, own) =>
            {
                if (instrument.Name == "chat.limits.hit" && instrument.Meter.Scope == services.GetRequiredService<IMeterFactory>())
                    own.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>((_, _, _, _) => isTooLate = socket.Closing.Wait(TimeSpan.FromMilliseconds(50)));
        listener.Start();

        clock.Advance(TimeSpan.FromSeconds(10));
        connection.EnforceTimeouts();

        await socket.Closing.WaitAsync(Eventually.Timeout);
        Assert.False(isTooLate);
    }

    [Fact]
    public async Task Dropped_frames_are_counted()
    {
        await using var services = new ServiceCollection().AddMetrics().AddSingleton<ServerMetrics>().BuildServiceProvider();
        using var dropped = services.Measure<int>("chat.send_queue.dropped");
        using var socket = new Deaf();
        var queue = new SendQueue(socket, new Transport(new HttpRequestLifetimeFeature()), socket.Abort,
            new Limits { SendQueueEvents = 10 }, services.GetRequiredService<ServerMetrics>(), TimeProvider.System);
        queue.Add(new Frame(new byte[1]));
        await socket.Writing.WaitAsync(Eventually.Timeout);

        for (var i = 0; i < 7; i++)
            queue.Add(new Frame(new byte[1], Droppable: true));

        Assert.Equal((5, 2), (queue.Length, dropped.Sum()));
    }

    private static async Task IsCut(TcpClient client)
    {
        var read = await Record.ExceptionAsync(() => client.GetStream().ReadExactlyAsync(new byte[1], CancellationToken.None).AsTask());
        Assert.IsAssignableFrom<IOException>(read);
    }

    private static async Task TwoAreTooMany(ChatApp app)
    {
        var user = ChatApp.NewUser();
        await using var first = await app.Connect(user);
        await using var second = await app.Open(bearer: app.TokenFor(user));
        Assert.Equal(1013, await second.Closed());
    }

    private static async Task ThreeAreTooFast(ChatApp app)
    {
        await using var client = await app.Connect(ChatApp.NewUser());
        for (var i = 0; i < 2; i++)
            (await client.SendMessage(Guid.NewGuid(), "nowhere")).IsError("FORBIDDEN");
        (await client.SendMessage(Guid.NewGuid(), "nowhere")).IsError("RATE_LIMITED");
    }

    /// <summary>A socket whose other side never reads.</summary>
    private sealed class Deaf : WebSocket
    {
        private readonly TaskCompletionSource writing = new();
        private readonly TaskCompletionSource closing = new();

        /// <summary>Completes when a write begins.</summary>
        public Task Writing => writing.Task;

        /// <summary>Completes when the close frame is written.</summary>
        public Task Closing => closing.Task;

        public override WebSocketCloseStatus? CloseStatus => null;

        public override string? CloseStatusDescription => null;

        public override WebSocketState State => WebSocketState.Open;

        public override string? SubProtocol => null;

        public override Task SendAsync(
            ArraySegment<byte> buffer, WebSocketMessageType messageType, bool endOfMessage, CancellationToken cancellationToken)
        {
            writing.TrySetResult();
            return new TaskCompletionSource().Task;
        }

        public override Task CloseOutputAsync(
            WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken)
        {
            closing.TrySetResult();
            return Task.CompletedTask;
        }

        public override void Abort()
        {
        }

        public override void Dispose()
        {
        }

        public override Task CloseAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) =>
            throw new NotSupportedException("Only the client waits for the other side.");

        public override Task<WebSocketReceiveResult> ReceiveAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken) =>
            throw new NotSupportedException("Nobody speaks here.");
    }
}
