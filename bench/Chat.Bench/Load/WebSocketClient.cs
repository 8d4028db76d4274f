using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>Handles the events of its clients, on the event loop's thread.</summary>
internal interface IClientHandler
{
    /// <summary>The connection is authenticated: the first frame was <c>auth_success</c>.</summary>
    void OnOpened(WebSocketClient client, long now);

    /// <summary>A text frame was received; the span is valid only during the call.</summary>
    void OnReceived(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now);

    /// <summary>Connecting failed, or the connection was lost.</summary>
    void OnClosed(WebSocketClient client, bool wasOpen, string reason);
}

/// <summary>A WebSocket client of the load generator: uses a few hundred bytes, and allocates nothing per frame.</summary>
internal sealed class WebSocketClient(EventLoop loop, IClientHandler owner, int index) : LoopSocket(loop)
{
    private bool isUpgraded;

    /// <summary>The index within its owner.</summary>
    public int Index { get; } = index;

    /// <summary>Whether the connection is authenticated and open.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Starts to connect; the outcome is reported to the owner.</summary>
    public void Connect(IPEndPoint target, IPAddress? source, byte[] upgrade)
    {
        isUpgraded = false;
        Open(target, source, upgrade);
    }

    /// <inheritdoc/>
    public override void Abort()
    {
        base.Abort();
        IsOpen = false;
    }

    /// <inheritdoc/>
    protected override void Read(ref ReadOnlySpan<byte> bytes)
    {
        var now = EventLoop.Now;
        if (!isUpgraded)
        {
            var end = bytes.IndexOf("\r\n\r\n"u8);
            if (end >= 0 && !bytes.StartsWith("HTTP/1.1 101 "u8))
            {
                OnFailed(Encoding.ASCII.GetString(bytes[..bytes.IndexOf("\r\n"u8)]));
                return;
            }

            isUpgraded = end >= 0;
            bytes = bytes[(isUpgraded ? end + 4 : 0)..];
        }

        while (isUpgraded && HasSocket && TryReadFrame(ref bytes, out var opcode, out var payload))
            Handle(opcode, payload, now);
    }

    /// <inheritdoc/>
    protected override void OnFailed(string reason)
    {
        var wasOpen = IsOpen;
        Abort();
        owner.OnClosed(this, wasOpen, reason);
    }

    // Server frames are never masked, and this server does not fragment them.
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
            throw new BenchException(
                "Received a fragmented or masked frame, or one above 64 KiB, which the load generator does not support.");
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
                    owner.OnOpened(this, now);
                }
                else
                {
                    owner.OnReceived(this, kind, payload, now);
                }

                break;
            case 8:
                OnFailed(payload.Length < 2 ? "closed" : $"closed with {BinaryPrimitives.ReadUInt16BigEndian(payload)}");
                break;
            case 9:
                Send(Wire.Frame(10, payload));
                break;
        }
    }
}
