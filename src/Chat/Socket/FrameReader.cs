using System.Buffers;
using System.Net.WebSockets;
using System.Text.Unicode;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Reads text frames from one socket and reassembles fragments. It waits without a buffer and rents one only when data
/// arrives, so that an idle socket holds none.
/// </summary>
internal sealed class FrameReader(WebSocket socket, Limits limits, ActivityTracker activity, ServerMetrics metrics) : IDisposable
{
    private const int FirstRent = 1024;
    private const int DrainRent = 4 * 1024;
    private byte[]? buffer;

    /// <summary>Waits for the next frame. Its bytes are valid until the next call, or <see cref="Release"/>.</summary>
    /// <returns>The frame, or why there is no next one.</returns>
    public async ValueTask<(ReadOnlyMemory<byte> Frame, Disconnect? End)> ReadAsync()
    {
        Release();
        var received = await socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
        var length = 0;
        var emptyFragments = 0;
        while (true)
        {
            activity.Touch();
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
            // At most one byte over the limit: .NET fills the whole buffer before it returns.
            var room = Math.Min(buffer!.Length, limits.MaxFrameBytes + 1) - length;
            received = await socket.ReceiveAsync(buffer.AsMemory(length, room), CancellationToken.None);
            if (received is { Count: 0, EndOfMessage: false })
                emptyFragments++;
        }
    }

    /// <summary>
    /// Discards input until the peer has closed. Needs a buffer: in the middle of a message .NET completes a zero-byte read
    /// at once without consuming anything, so that waiting as <see cref="ReadAsync"/> does would spin.
    /// </summary>
    public async ValueTask DrainAsync()
    {
        Release();
        buffer = ArrayPool<byte>.Shared.Rent(DrainRent);
        while ((await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None)).MessageType != WebSocketMessageType.Close)
            activity.Touch();
    }

    /// <summary>Returns the buffer to the pool; the frame's bytes are invalid from here on.</summary>
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
