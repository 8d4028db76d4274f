using System.Buffers;
using System.Net.WebSockets;
using System.Text.Unicode;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Reads text frames from one socket, whatever fragments they come in. It waits without a buffer and rents one only
/// when bytes are there, so that an idle socket holds none.
/// </summary>
internal sealed class FrameReader(WebSocket socket, Limits limits, ActivityTracker lifeSign, ServerMetrics metrics) : IDisposable
{
    private const int FirstRent = 1024;
    private const int DrainRent = 4 * 1024;
    private byte[]? buffer;

    /// <summary>Waits for the next frame. Its bytes are good until the next call, or <see cref="Release"/>.</summary>
    /// <returns>The frame; or why there will be no other.</returns>
    public async ValueTask<(ReadOnlyMemory<byte> Frame, Disconnect? End)> ReadAsync()
    {
        Release();
        var received = await socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
        var length = 0;
        var emptyFragments = 0;
        while (true)
        {
            lifeSign.Touch();
            if (received.MessageType == WebSocketMessageType.Close)
                return (default, Disconnect.NormalClosure);
            if (received.MessageType == WebSocketMessageType.Binary)
                return (default, Disconnect.BinaryFrame);

            length += received.Count;
            if (length > limits.MaxFrameBytes || emptyFragments > limits.MaxEmptyFragments)
            {
                metrics.LimitHit(length > limits.MaxFrameBytes ? nameof(Limits.MaxFrameBytes) : nameof(Limits.MaxEmptyFragments));
                return (default, Disconnect.MessageTooBig);
            }

            if (received.EndOfMessage)
            {
                var frame = buffer.AsMemory(0, length);
                return Utf8.IsValid(frame.Span) ? (frame, null) : (default, Disconnect.NotUtf8);
            }

            Grow(length);
            // No further than one byte too many: .NET waits until the room it is given is full.
            var room = Math.Min(buffer!.Length, limits.MaxFrameBytes + 1) - length;
            received = await socket.ReceiveAsync(buffer.AsMemory(length, room), CancellationToken.None);
            if (received is { Count: 0, EndOfMessage: false })
                emptyFragments++;
        }
    }

    /// <summary>
    /// Discards what still comes, until the peer has closed. With a buffer: .NET answers a read of nothing in the middle of
    /// a message at once and consumes nothing, so that waiting as <see cref="ReadAsync"/> does would spin.
    /// </summary>
    public async ValueTask DrainAsync()
    {
        Release();
        buffer = ArrayPool<byte>.Shared.Rent(DrainRent);
        while ((await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None)).MessageType != WebSocketMessageType.Close)
            lifeSign.Touch();
    }

    /// <summary>Gives the buffer back: nobody looks at the frame any more.</summary>
    public void Release()
    {
        if (buffer is null)
            return;
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = null;
    }

    public void Dispose() => Release();

    private void Grow(int used)
    {
        if (buffer is not null && used < buffer.Length)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstRent, used * 2));
        buffer?.AsSpan(0, used).CopyTo(larger);
        Release();
        buffer = larger;
    }
}
