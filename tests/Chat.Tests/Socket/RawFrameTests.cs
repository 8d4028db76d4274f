using System.Text;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>Frames that no proper client sends, and those that are valid but rare.</summary>
public sealed class RawFrameTests(SharedKestrel shared) : IClassFixture<SharedKestrel>
{
    private const int KiB64 = 65_536;
    private const int ProtocolError = 1002;
    private const string Ping = """{"type":"ping","id":"p1","payload":{"timestamp":"größer 🙂"}}""";

    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();

    public static TheoryData<string, byte[]> NotUtf8 => new()
    {
        { "0xFF", [0xFF] },
        { "overlong slash", [0xC0, 0xAF] },
        { "overlong U+0000", [0xC0, 0x80] },
        { "a surrogate in UTF-8", [0xED, 0xA0, 0x80] },
        { "past U+10FFFF", [0xF4, 0x90, 0x80, 0x80] },
        { "a continuation byte alone", [0x80] },
        { "a character cut off", [0xF0, 0x9F, 0x99] },
    };

    [Theory]
    [MemberData(nameof(NotUtf8))]
    public async Task Invalid_UTF8_closes_with_1007(string name, byte[] bad)
    {
        Assert.NotEmpty(name);
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.Frame(RawFrame.Text, [.. "{\"type\":\"ping\",\"payload\":{\"timestamp\":\""u8, .. bad, .. "\"}}"u8]));

        Assert.Equal(1007, await socket.Closed());
    }

    [Fact]
    public async Task Text_with_an_incomplete_last_character_closes_with_1007()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.Frame(RawFrame.Text, [(byte)'"', 0xF0, 0x9F], isFinal: false));
        await socket.Send(RawSocket.Frame(RawFrame.Continuation, [0x99]));

        Assert.Equal(1007, await socket.Closed());
    }

    [Fact]
    public async Task A_character_may_be_split_across_fragments()
    {
        using var socket = await RawSocket.Connect(app, alice);
        var bytes = Encoding.UTF8.GetBytes(Ping);

        await socket.Send(RawSocket.Frame(RawFrame.Text, bytes.AsSpan(0, 1), isFinal: false));
        for (var i = 1; i < bytes.Length - 1; i++)
            await socket.Send(RawSocket.Frame(RawFrame.Continuation, bytes.AsSpan(i, 1), isFinal: false));
        await socket.Send(RawSocket.Frame(RawFrame.Continuation, bytes.AsSpan(bytes.Length - 1)));

        Assert.Contains("größer", Encoding.UTF8.GetString((await socket.Next("pong")).Payload), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Empty_fragments_and_a_ping_in_between_are_accepted()
    {
        using var socket = await RawSocket.Connect(app, alice);
        var bytes = Encoding.UTF8.GetBytes(Ping);

        await socket.Send(
            RawSocket.Frame(RawFrame.Text, [], isFinal: false),
            RawSocket.Frame(RawFrame.Continuation, [], isFinal: false),
            RawSocket.Frame(RawFrame.Continuation, bytes.AsSpan(0, 20), isFinal: false),
            RawSocket.Frame(RawFrame.Ping, "between"u8),
            RawSocket.Frame(RawFrame.Continuation, bytes.AsSpan(20), isFinal: false),
            RawSocket.Frame(RawFrame.Continuation, []));

        Assert.Equal("between"u8.ToArray(), (await socket.Next(RawFrame.Pong)).Payload);
        await socket.Next("pong");
    }

    [Fact]
    public async Task An_empty_frame_is_not_an_envelope()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.TextFrame(""));

        Assert.Contains("INVALID_MESSAGE", Encoding.UTF8.GetString((await socket.Next("error")).Payload), StringComparison.Ordinal);
        await Lives(socket);
    }

    [Fact]
    public async Task Endless_empty_fragments_close_with_1009()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.Frame(RawFrame.Text, "{"u8, isFinal: false));
        var empty = RawSocket.Frame(RawFrame.Continuation, [], isFinal: false);
        await socket.TrySend([.. Enumerable.Repeat(empty, 10_000)]);

        Assert.Equal(1009, await socket.Closed());
    }

    [Fact]
    public async Task Exactly_64_KiB_are_accepted()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.TextFrame(PingOf(KiB64)));
        await socket.Next("pong");

        await Lives(socket);
    }

    [Fact]
    public async Task Exactly_64_KiB_in_fragments_are_accepted()
    {
        using var socket = await RawSocket.Connect(app, alice);
        var bytes = Encoding.UTF8.GetBytes(PingOf(KiB64));

        await socket.Send(
            RawSocket.Frame(RawFrame.Text, bytes.AsSpan(0, 30_000), isFinal: false),
            RawSocket.Frame(RawFrame.Continuation, bytes.AsSpan(30_000), isFinal: false),
            RawSocket.Frame(RawFrame.Continuation, []));
        await socket.Next("pong");

        await Lives(socket);
    }

    [Fact]
    public async Task One_more_byte_closes_with_1009()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.TrySend(RawSocket.TextFrame(PingOf(KiB64 + 1)));

        Assert.Equal(1009, await socket.Closed());
    }

    [Fact]
    public async Task Fragments_that_exceed_the_limit_together_close_with_1009()
    {
        using var socket = await RawSocket.Connect(app, alice);
        var fragment = new byte[10_000];
        Array.Fill(fragment, (byte)' ');

        await socket.Send(RawSocket.Frame(RawFrame.Text, fragment, isFinal: false));
        await socket.TrySend([.. Enumerable.Repeat(RawSocket.Frame(RawFrame.Continuation, fragment, isFinal: false), 6)]);

        Assert.Equal(1009, await socket.Closed());
    }

    /// <summary>Bytes beyond the limit are discarded, not answered with a reset that would discard the close code.</summary>
    [Fact]
    public async Task Far_more_than_64_KiB_closes_with_1009_which_the_client_can_read()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.TrySend(RawSocket.TextFrame(PingOf(4 * 1024 * 1024)));

        Assert.Equal(1009, await socket.Closed());
    }

    [Fact]
    public async Task A_frame_length_of_gigabytes_is_rejected()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send([0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4]);
        await socket.TrySend(new byte[KiB64 + 1]);

        // Masked with 1, 2, 3, 4, the zeros are valid UTF-8: only their number is wrong.
        Assert.Equal(1009, await socket.Closed());
    }

    [Fact]
    public async Task A_binary_frame_closes_with_1003_which_the_client_can_read()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.TrySend([.. Enumerable.Repeat(RawSocket.Frame(RawFrame.Binary, new byte[60_000]), 10)]);

        Assert.Equal(1003, await socket.Closed());
    }

    [Fact]
    public async Task Protocol_errors_close_with_1002()
    {
        var broken = new Dictionary<string, byte[]>
        {
            ["a control frame of 126 bytes"] = RawSocket.Frame(RawFrame.Ping, new byte[126]),
            ["a control frame in fragments"] = RawSocket.Frame(RawFrame.Ping, [], isFinal: false),
            ["an unmasked frame"] = RawSocket.Frame(RawFrame.Text, Encoding.UTF8.GetBytes(Ping), isMasked: false),
            ["reserved bit 1"] = RawSocket.Frame(RawFrame.Text, Encoding.UTF8.GetBytes(Ping), reserved: 4),
            ["reserved bit 2"] = RawSocket.Frame(RawFrame.Text, Encoding.UTF8.GetBytes(Ping), reserved: 2),
            ["reserved bit 3"] = RawSocket.Frame(RawFrame.Text, Encoding.UTF8.GetBytes(Ping), reserved: 1),
            ["opcode 3"] = RawSocket.Frame(3, Encoding.UTF8.GetBytes(Ping)),
            ["opcode 15"] = RawSocket.Frame(15, []),
            ["a continuation of nothing"] = RawSocket.Frame(RawFrame.Continuation, Encoding.UTF8.GetBytes(Ping)),
            ["a frame inside another"] =
                [.. RawSocket.Frame(RawFrame.Text, "{"u8, isFinal: false), .. RawSocket.Frame(RawFrame.Text, "{"u8)],
            ["a close of one byte"] = RawSocket.Frame(RawFrame.Close, [3]),
            ["a close with a code that nobody may send"] = RawSocket.Frame(RawFrame.Close, [1006 >> 8, 1006 & 0xFF]),
            ["a negative length"] = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4],
        };
        foreach (var (name, bytes) in broken)
        {
            using var socket = await RawSocket.Connect(app, alice);
            await socket.TrySend(bytes);
            var code = await socket.Closed();
            Assert.True(code == ProtocolError, $"{name}: closed with {code}");
        }
    }

    [Fact]
    public async Task A_ping_is_answered_by_a_pong_with_the_same_payload()
    {
        using var socket = await RawSocket.Connect(app, alice);
        var payload = Enumerable.Range(0, 125).Select(i => (byte)i).ToArray();

        await socket.Send(RawSocket.Frame(RawFrame.Ping, payload));

        Assert.Equal(payload, (await socket.Next(RawFrame.Pong)).Payload);
    }

    [Fact]
    public async Task Unsolicited_pongs_are_ignored()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send([.. Enumerable.Repeat(RawSocket.Frame(RawFrame.Pong, "x"u8), 1000)]);

        await Lives(socket);
    }

    [Fact]
    public async Task A_close_frame_is_answered_and_the_stream_ends()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(RawSocket.Frame(RawFrame.Close, [1000 >> 8, 1000 & 0xFF]));

        Assert.Equal(1000, await socket.Closed());
        Assert.Null(await socket.Next());
    }

    [Fact]
    public async Task An_incomplete_frame_does_not_affect_other_connections()
    {
        using var halves = await RawSocket.Connect(app, alice);
        await halves.Send(RawSocket.TextFrame(Ping)[..20]);
        using var fragments = await RawSocket.Connect(app, alice);
        await fragments.Send(RawSocket.TextFrame("{", isFinal: false));

        await using var other = await app.Connect(alice);
        await other.Settle();

        // And the incomplete frame can still be completed.
        await halves.Send(RawSocket.TextFrame(Ping)[20..]);
        await halves.Next("pong");
    }

    [Fact]
    public async Task Many_frames_in_one_packet_are_all_answered_in_order()
    {
        using var socket = await RawSocket.Connect(app, alice);

        await socket.Send(
            [.. Enumerable.Range(0, 200).SelectMany(i => RawSocket.TextFrame($$"""{"type":"ping","id":"{{i}}","payload":{} }"""))]);

        for (var i = 0; i < 200; i++)
            Assert.StartsWith($"{{\"type\":\"pong\",\"id\":\"{i}\"", Encoding.UTF8.GetString((await socket.Next("pong")).Payload),
                StringComparison.Ordinal);
    }

    private static string PingOf(int length)
    {
        const string Start = "{\"type\":\"ping\",\"payload\":{\"timestamp\":\"", End = "\"}}";
        return Start + new string('x', length - Start.Length - End.Length) + End;
    }

    private static async Task Lives(RawSocket socket)
    {
        await socket.Send(RawSocket.TextFrame(Ping));
        await socket.Next("pong");
    }
}
