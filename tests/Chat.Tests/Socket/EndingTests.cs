using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Chat.Tests.Start;

namespace Chat.Tests.Socket;

/// <summary>
/// However a connection ends, it costs next to nothing until the client has closed as well: measured as the processor time of a
/// separate server process whose clients do not answer the close.
/// </summary>
public sealed class EndingTests(EndingTests.RunningServer running) : IClassFixture<EndingTests.RunningServer>
{
    private const int AtOnce = 6;
    private const string Ping = """{"type":"ping","payload":{}}""";

    // Six threads that spin for two seconds, until their connections are aborted, use four of two processors. On a busy machine
    // the same work takes up to three times its usual half second.
    private static readonly TimeSpan Most = TimeSpan.FromSeconds(3);
    private static readonly byte[] Binary = RawSocket.Frame(RawFrame.Binary, [1]);

    /// <summary>Each with the token of the handshake, the client's actions and the expected close code.</summary>
    private static readonly Dictionary<string, (Func<string> Token, Func<RawSocket, Task> Does, int Code)> Ways = new()
    {
        ["a binary frame"] = (Good, socket => socket.Send(Binary), 1003),
        ["the head of a binary frame"] = (Good, socket => socket.Send(Binary[..6]), 1003),
        ["the first fragment of a binary message"] =
            (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Binary, [1], isFinal: false)), 1003),
        ["a binary frame without a token"] = (None, socket => socket.Send(Binary), 1003),
        ["the head of a binary frame without a token"] = (None, socket => socket.Send(Binary[..6]), 1003),
        ["a binary frame on a closing connection"] = (Bad, socket => Closing(socket, Binary), 4501),
        ["the head of a binary frame on a closing connection"] = (Bad, socket => Closing(socket, Binary[..6]), 4501),
        ["the head of a text frame on a closing connection"] = (Bad, socket => Closing(socket, RawSocket.TextFrame(Ping)[..6]), 4501),
        ["a fragment on a closing connection"] = (Bad, socket => Closing(socket, RawSocket.TextFrame("{", isFinal: false)), 4501),
        ["too large a frame on a closing connection"] =
            (Bad, socket => Closing(socket, RawSocket.TextFrame(new string(' ', 70_000))), 4501),
        ["too large a frame"] = (Good, socket => socket.Send(RawSocket.TextFrame(new string(' ', 70_000))), 1009),
        ["a part of too large a frame"] = (Good, socket => socket.Send(RawSocket.TextFrame(new string(' ', 90_000))[..70_000]), 1009),
        ["too many empty fragments"] = (Good, socket => socket.Send([RawSocket.TextFrame("{", isFinal: false),
        .. Enumerable.Repeat(RawSocket.Frame(RawFrame.Continuation, [], isFinal: false), 70)]), 1009),
        ["text that is not UTF-8"] = (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Text, [0xFF])), 1007),
        ["text that is not UTF-8, in a fragment"] =
            (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Text, [0xFF], isFinal: false)), 1007),
        ["a reserved bit"] = (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Text, [], reserved: 4)), 1002),
        ["a continuation of nothing"] = (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Continuation, [1], isFinal: false)), 1002),
        ["too many errors"] = (Good, socket => socket.Send([.. Enumerable.Repeat(RawSocket.TextFrame("x"), 100)]), 4503),
        ["too many errors, and half a frame"] =
            (Good, socket => socket.Send([.. Enumerable.Repeat(RawSocket.TextFrame("x"), 100), Binary[..6]]), 4503),
        ["a token that expires"] = (Short, _ => Task.CompletedTask, 4401),
        ["a token that expires, in the middle of a frame"] = (Short, socket => socket.Send(RawSocket.TextFrame(Ping)[..6]), 4401),
        ["a bad token"] = (Bad, _ => Task.CompletedTask, 4501),
        ["a bad token, and more"] =
            (None, socket => socket.Send(RawSocket.TextFrame("""{"type":"auth","payload":{"token":"bad"}}"""), Binary[..6]), 4501),
        ["no token in time"] = (None, _ => Task.CompletedTask, 4502),
        ["no token in time, in the middle of a frame"] = (None, socket => socket.Send(RawSocket.TextFrame(Ping)[..6]), 4502),
        ["no sign of life"] = (Good, _ => Task.CompletedTask, 4412),
        ["no sign of life, in the middle of a frame"] = (Good, socket => socket.Send(RawSocket.TextFrame("{", isFinal: false)), 4412),
        ["a reader that does not read"] = (Good, socket => socket.TrySend([.. Enumerable.Repeat(RawSocket.TextFrame(Long), 150)]), 4408),
        ["a close, and then nothing"] = (Good, socket => socket.Send(RawSocket.Frame(RawFrame.Close, [1000 >> 8, 1000 & 0xFF])), 1000),
        ["a close, and a binary frame"] =
            (Good, socket => socket.TrySend(RawSocket.Frame(RawFrame.Close, [1000 >> 8, 1000 & 0xFF]), Binary[..6]), 1000),
    };

    public static TheoryData<string> AllWays => [.. Ways.Keys];

    private static string Long => """{"type":"ping","payload":{"timestamp":" """ + new string('x', 60_000) + "\"}}";

    public sealed class RunningServer : IAsyncLifetime
    {
        internal ServerProcess Server { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Server = await ServerProcess.StartListening(new Dictionary<string, string>(await Production.Settings())
            {
                // Creates its schema itself.
                ["DOTNET_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["Limits__CloseTimeout"] = "00:00:02",
                ["Limits__WriteTimeout"] = "00:00:02",
                ["Limits__AuthTimeout"] = "00:00:01",
                ["Limits__PingInterval"] = "00:00:01",
                ["Limits__PingTimeout"] = "00:00:04",
            });
            // An unmeasured run first, which includes JIT compilation.
            await Task.WhenAll(Ways.Values.Select(way => End(Server, way)));
        }

        public Task DisposeAsync()
        {
            Server.Dispose();
            return Task.CompletedTask;
        }
    }

    [Theory]
    [MemberData(nameof(AllWays))]
    public async Task Closing_a_connection_costs_no_processor_time(string way)
    {
        var before = running.Server.ProcessorTime;

        var codes = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => End(running.Server, Ways[way])));

        // A client that does not read shows no activity either, and a busy server may detect that first; the close may not reach it.
        var isSlow = way == "a reader that does not read";
        Assert.All(codes, code => Assert.True(code == Ways[way].Code || (isSlow && code is (4412 or 1006)), $"closed with {code}"));
        var took = running.Server.ProcessorTime - before;
        Assert.True(took < Most * (isSlow ? 5 : 1), $"{took.TotalMilliseconds:0} ms of processor time");
    }

    private static async Task<int> End(ServerProcess server, (Func<string> Token, Func<RawSocket, Task> Does, int Code) way)
    {
        var token = way.Token();
        using var socket = await RawSocket.Shake(server.Address, token.Length > 0 ? $"Authorization: {token}\r\n" : "");
        Assert.Equal(101, socket.Status);
        await way.Does(socket);
        if (socket.LastCode is null)
            await socket.Closed();
        // Until the server ends the connection: nothing here answers a close.
        while (await socket.Next() is not null)
        {
        }

        return socket.LastCode ?? 1006;
    }

    private static async Task Closing(RawSocket socket, byte[] bytes)
    {
        await socket.Closed();
        await socket.TrySend(bytes);
    }

    private static string Good() => $"Bearer {Production.TokenFor(ChatApp.NewUser())}";

    private static string Short() => $"Bearer {Production.TokenFor(ChatApp.NewUser(), TimeSpan.FromSeconds(2))}";

    private static string Bad() => "Bearer bad";

    private static string None() => "";
}
