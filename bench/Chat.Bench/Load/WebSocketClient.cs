using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>Hears of what its clients go through, on the loop's thread.</summary>
internal interface IClientHandler
{
    /// <summary>Accepted: the first frame was <c>auth_success</c>.</summary>
    void ConnectionOpened(WebSocketClient client, long now);

    /// <summary>A text frame; good until this returns.</summary>
    void OnReceived(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now);

    /// <summary>Not connected, or no longer.</summary>
    void OnClosed(WebSocketClient client, bool wasOpen, string reason);
}

/// <summary>One WebSocket of the load generator's: it costs a few hundred bytes, and nothing a frame.</summary>
internal sealed class WebSocketClient : ISocketHandler
{
    private readonly EventLoop loop;
    private readonly IClientHandler owner;
    private readonly int number;
    private byte[] request = [];
    private byte[] rest = [];
    private int socket = -1;
    private bool isConnected;
    private bool isUpgraded;

    public WebSocketClient(EventLoop loop, IClientHandler owner, int index)
    {
        (this.loop, this.owner, Index) = (loop, owner, index);
        number = loop.Register(this);
    }

    /// <summary>Which one of its owner's it is.</summary>
    public int Index { get; }

    /// <summary>Whether it was accepted and not closed since.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Begins to connect; the owner hears how it went.</summary>
    public void Connect(IPEndPoint target, IPAddress? source, byte[] upgrade)
    {
        (request, rest, isConnected, isUpgraded) = (upgrade, [], false, false);
        socket = Native.Connect(target, source);
        if (socket < 0)
            owner.OnClosed(this, wasOpen: false, $"no socket (error {Marshal.GetLastPInvokeError()})");
        else
            loop.Watch(socket, number, Native.Readable | Native.Writable, isNew: true);
    }

    /// <summary>Sends a whole frame, headers and all.</summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        if (!Native.Send(socket, frame))
            Close($"a send failed (error {Marshal.GetLastPInvokeError()})");
    }

    /// <summary>Goes away without a word, as a phone in a tunnel; the owner is not told.</summary>
    public void Abort()
    {
        if (socket < 0)
            return;
        loop.Unwatch(socket);
        _ = Native.Close(socket);
        socket = -1;
        IsOpen = false;
    }

    /// <inheritdoc/>
    public void OnReady(int events)
    {
        if (socket < 0)
            return;
        if (!isConnected)
        {
            if (Native.ErrorOf(socket) is not 0 and var error)
            {
                Close($"not connected (error {error})");
                return;
            }

            isConnected = true;
            loop.Watch(socket, number, Native.Readable, isNew: false);
            Send(request);
            return;
        }

        var buffer = loop.Buffer.AsSpan();
        rest.CopyTo(buffer);
        var received = Native.Receive(socket, buffer[rest.Length..]);
        if (received > 0)
            Read(buffer[..(rest.Length + received)]);
        else if (received == 0)
            Close("the other side went away");
        else if (Marshal.GetLastPInvokeError() is not Native.TryAgain and var failure)
            Close($"a receive failed (error {failure})");
    }

    private void Close(string reason)
    {
        var wasOpen = IsOpen;
        Abort();
        owner.OnClosed(this, wasOpen, reason);
    }

    private void Read(ReadOnlySpan<byte> bytes)
    {
        var now = EventLoop.Now;
        if (!isUpgraded)
        {
            var end = bytes.IndexOf("\r\n\r\n"u8);
            if (end >= 0 && !bytes.StartsWith("HTTP/1.1 101 "u8))
            {
                Close(Encoding.ASCII.GetString(bytes[..bytes.IndexOf("\r\n"u8)]));
                return;
            }

            isUpgraded = end >= 0;
            bytes = bytes[(isUpgraded ? end + 4 : 0)..];
        }

        while (isUpgraded && socket >= 0 && TryReadFrame(ref bytes, out var opcode, out var payload))
            Handle(opcode, payload, now);
        rest = bytes.IsEmpty || socket < 0 ? [] : bytes.ToArray();
    }

    // A server's frames are neither masked nor, here, in fragments.
    private static bool TryReadFrame(ref ReadOnlySpan<byte> bytes, out int opcode, out ReadOnlySpan<byte> payload)
    {
        opcode = 0;
        payload = default;
        if (bytes.Length < 2)
            return false;
        var (header, length) = bytes[1] switch
        {
            126 when bytes.Length >= 4 => (4, BinaryPrimitives.ReadUInt16BigEndian(bytes[2..])),
            126 or 127 => (int.MaxValue, 0),
            var small => (2, small),
        };
        if (bytes[0] >> 7 == 0 || bytes[1] >= 127)
            throw new BenchException("A frame in fragments, masked or above 64 KiB: the generator does not read such ones.");
        if (header == int.MaxValue || bytes.Length < header + length)
            return false;
        opcode = bytes[0] & 0x0F;
        payload = bytes.Slice(header, length);
        bytes = bytes[(header + length)..];
        return true;
    }

    private void Handle(int opcode, ReadOnlySpan<byte> payload, long now)
    {
        switch (opcode)
        {
            case 1:
                var kind = Wire.KindOf(payload);
                if (kind == FrameKind.AuthSuccess)
                {
                    IsOpen = true;
                    owner.ConnectionOpened(this, now);
                }
                else
                {
                    owner.OnReceived(this, kind, payload, now);
                }

                break;
            case 8:
                Close(payload.Length < 2 ? "closed" : $"closed with {BinaryPrimitives.ReadUInt16BigEndian(payload)}");
                break;
            case 9:
                Send(Wire.Frame(10, payload));
                break;
        }
    }
}
