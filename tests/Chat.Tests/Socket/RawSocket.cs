using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>A frame as it was on the wire (RFC 6455, 5.2).</summary>
internal sealed record RawFrame(int Opcode, bool IsFinal, byte[] Payload)
{
    public const int Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10;

    /// <summary>The envelope type of a text frame.</summary>
    public string? Type => Opcode == Text ? JsonDocument.Parse(Payload).RootElement.Text("type") : null;

    /// <summary>The code of a close frame.</summary>
    public int Code => BinaryPrimitives.ReadUInt16BigEndian(Payload);
}

/// <summary>
/// A WebSocket client without a WebSocket library: bytes over TCP and a handmade handshake, so that it can do what no proper client
/// does. It answers no ping and no close, and reads only on request.
/// </summary>
internal sealed class RawSocket : IDisposable
{
    private const int NoCode = 1005;
    private readonly TcpClient tcp;
    private readonly Stream stream;

    private RawSocket(TcpClient tcp)
    {
        this.tcp = tcp;
        stream = tcp.GetStream();
    }

    /// <summary>The response to the handshake.</summary>
    public int Status { get; private set; }

    /// <summary>The code of the received close frame; 1005 if it had none, null if none has arrived.</summary>
    public int? LastCode { get; private set; }

    /// <summary>Opens a socket; returns after auth_success.</summary>
    public static async Task<RawSocket> Connect(ChatApp app, TestUser user, int? receiveBuffer = null)
    {
        var socket = await Shake(app, $"Authorization: Bearer {app.TokenFor(user)}\r\n", receiveBuffer);
        Assert.Equal(101, socket.Status);
        Assert.Equal("auth_success", (await socket.Next())!.Type);
        return socket;
    }

    /// <summary>Opens a socket; returns after the handshake, whatever its result.</summary>
    /// <param name="app">The server.</param>
    /// <param name="headers">Additional request headers, each with its line end.</param>
    /// <param name="receiveBuffer">The system's receive buffer, in bytes.</param>
    /// <param name="behind">Sent in the same packet, before any response.</param>
    public static Task<RawSocket> Shake(ChatApp app, string headers = "", int? receiveBuffer = null, byte[]? behind = null) =>
        Shake(app.Address, headers, receiveBuffer, behind);

    /// <summary>Opens a socket to a server that is not a <see cref="ChatApp"/>.</summary>
    public static async Task<RawSocket> Shake(Uri address, string headers = "", int? receiveBuffer = null, byte[]? behind = null)
    {
        var tcp = new TcpClient { NoDelay = true };
        if (receiveBuffer is { } size)
            tcp.ReceiveBufferSize = size;
        await tcp.ConnectAsync("127.0.0.1", address.Port);
        var socket = new RawSocket(tcp);
        await socket.Send([.. Encoding.ASCII.GetBytes(
            $"GET /chat/ws HTTP/1.1\r\nHost: {address.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
            $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Convert.ToBase64String(RandomNumberGenerator.GetBytes(16))}\r\n{headers}\r\n"), .. behind ?? []]);
        var head = new StringBuilder();
        var single = new byte[1];
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await socket.stream.ReadExactlyAsync(single, timeout.Token);
            head.Append((char)single[0]);
        }

        socket.Status = int.Parse(head.ToString().Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        return socket;
    }

    /// <summary>The bytes of a frame, masked with a fixed key by default.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload, bool isFinal = true, bool isMasked = true, int reserved = 0)
    {
        byte[] key = [0x12, 0x34, 0x56, 0x78];
        var mask = isMasked ? 0x80 : 0;
        var bytes = new List<byte> { (byte)((isFinal ? 0x80 : 0) | (reserved << 4) | opcode) };
        switch (payload.Length)
        {
            case < 126:
                bytes.Add((byte)(mask | payload.Length));
                break;
            case <= ushort.MaxValue:
                bytes.AddRange([(byte)(mask | 126), (byte)(payload.Length >> 8), (byte)payload.Length]);
                break;
            default:
                var length = new byte[8];
                BinaryPrimitives.WriteInt64BigEndian(length, payload.Length);
                bytes.Add((byte)(mask | 127));
                bytes.AddRange(length);
                break;
        }

        if (isMasked)
            bytes.AddRange(key);
        for (var i = 0; i < payload.Length; i++)
            bytes.Add(isMasked ? (byte)(payload[i] ^ key[i % 4]) : payload[i]);
        return [.. bytes];
    }

    public static byte[] TextFrame(string text, bool isFinal = true) => Frame(RawFrame.Text, Encoding.UTF8.GetBytes(text), isFinal);

    /// <summary>Sends bytes as they are.</summary>
    public async Task Send(params byte[][] parts)
    {
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        foreach (var part in parts)
            await stream.WriteAsync(part, timeout.Token);
    }

    /// <summary>Sends bytes to a server that may already have closed the connection.</summary>
    public Task TrySend(params byte[][] parts) => Record.ExceptionAsync(() => Send(parts));

    /// <summary>Returns the next frame; null if the connection was aborted.</summary>
    public async Task<RawFrame?> Next()
    {
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        try
        {
            var head = new byte[2];
            await stream.ReadExactlyAsync(head, timeout.Token);
            var length = (long)(head[1] & 0x7F);
            if (length >= 126)
            {
                var more = new byte[length == 126 ? 2 : 8];
                await stream.ReadExactlyAsync(more, timeout.Token);
                length = more.Aggregate(0L, (sum, part) => (sum << 8) | part);
            }

            var payload = new byte[length];
            await stream.ReadExactlyAsync(payload, timeout.Token);
            Assert.InRange(payload.Length, 0, Chat.Socket.Frame.MaxBytes);
            var frame = new RawFrame(head[0] & 0x0F, (head[0] & 0x80) != 0, payload);
            if (frame.Opcode == RawFrame.Close)
                LastCode = frame.Payload.Length == 0 ? NoCode : frame.Code;
            if (frame is { Opcode: RawFrame.Text, IsFinal: true })
                Assert.Null(Contracts.FaultOf(JsonDocument.Parse(payload).RootElement));
            return frame;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Returns the next frame with this opcode; fails if the connection ends first.</summary>
    public async Task<RawFrame> Next(int opcode)
    {
        while (true)
        {
            var frame = await Next();
            Assert.NotNull(frame);
            if (frame.Opcode == opcode)
                return frame;
            Assert.NotEqual(RawFrame.Close, frame.Opcode);
        }
    }

    /// <summary>Returns the next event of this type.</summary>
    public async Task<RawFrame> Next(string type)
    {
        while (true)
        {
            var frame = await Next(RawFrame.Text);
            if (frame.Type == type)
                return frame;
        }
    }

    /// <summary>Reads to the end; returns the code of the close frame, or 1006 if the connection was aborted without one.</summary>
    public async Task<int> Closed()
    {
        while (await Next() is { } frame)
        {
            if (frame.Opcode == RawFrame.Close)
                return LastCode!.Value;
        }

        return 1006;
    }

    public void Dispose() => tcp.Dispose();
}
