using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Chat.Socket;

/// <summary>
/// The stream below a WebSocket: tracks activity, reads ahead, coalesces writes, and emits pings. .NET reads a frame's
/// header and payload separately, and writes and flushes each frame by itself; a change is up to three frames. Here one
/// system call reads all that has arrived, and the frames of a change leave in one write.
/// </summary>
[SuppressMessage("Performance", "CA1844", Justification = "WebSocket calls only the Memory overloads, which are overridden.")]
internal sealed class SocketStream(Stream inner, byte[] readAhead, ActivityTracker activity) : Stream
{
    private const int MaxReadAhead = 4 * 1024;
    private const int MaxCorkedBytes = 16 * 1024;

    // RFC 6455, 5.2: final, opcode, no mask, length zero.
    private static readonly byte[] EmptyText = [0x81, 0];
    private static readonly byte[] Ping = [0x89, 0];
    private ReadOnlyMemory<byte> unread = readAhead;
    private byte[]? rented;
    private byte[]? corked;
    private int corkedBytes;

    /// <summary>
    /// Whether writes are held back because another frame follows immediately. Set by the send queue, which clears it for its
    /// last frame.
    /// </summary>
    public bool IsCorked { get; set; }

    public override bool CanRead => inner.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => inner.CanWrite;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!unread.IsEmpty)
            return new(TakeUnread(buffer));
        // A zero-byte read waits for data without holding a buffer.
        return buffer.Length is 0 or >= MaxReadAhead
            ? ReadInnerAsync(buffer, cancellationToken) : ReadAheadAsync(buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // .NET cannot send a ping on demand; its own keep-alive is up to a quarter late, and is skipped while data arrives. An
        // empty text frame, otherwise never sent, is rewritten to a ping here, under .NET's lock between two frames.
        if (buffer.Length == EmptyText.Length && buffer.Span.SequenceEqual(EmptyText))
            buffer = Ping;
        if (corkedBytes + buffer.Length > MaxCorkedBytes)
            return FlushCorkedAsync(buffer, cancellationToken);
        if (!IsCorked && corkedBytes == 0)
            return inner.WriteAsync(buffer, cancellationToken);
        corked ??= ArrayPool<byte>.Shared.Rent(MaxCorkedBytes);
        buffer.CopyTo(corked.AsMemory(corkedBytes));
        corkedBytes += buffer.Length;
        return IsCorked ? ValueTask.CompletedTask : FlushCorkedAsync(default, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        corkedBytes > 0 ? Task.CompletedTask : inner.FlushAsync(cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

    public override void Flush() => inner.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Dispose does not dispose of the inner stream: .NET disposes right after a close of its own (1002, 1007), and ending the
    // connection there would overtake the close frame, so that the client never learns the code.

    private async ValueTask<int> ReadInnerAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        activity.Touch();
        return read;
    }

    private async ValueTask<int> ReadAheadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        rented = ArrayPool<byte>.Shared.Rent(MaxReadAhead);
        unread = rented.AsMemory(0, await ReadInnerAsync(rented, cancellationToken));
        return TakeUnread(buffer);
    }

    private int TakeUnread(Memory<byte> buffer)
    {
        var count = Math.Min(buffer.Length, unread.Length);
        unread[..count].CopyTo(buffer);
        unread = unread[count..];
        if (unread.IsEmpty && rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
            (rented, unread) = (null, default);
        }

        return count;
    }

    private async ValueTask FlushCorkedAsync(ReadOnlyMemory<byte> last, CancellationToken cancellationToken)
    {
        if (corked is not null)
        {
            await inner.WriteAsync(corked.AsMemory(0, corkedBytes), cancellationToken);
            ArrayPool<byte>.Shared.Return(corked);
            (corked, corkedBytes) = (null, 0);
        }

        if (!last.IsEmpty)
            await inner.WriteAsync(last, cancellationToken);
    }
}
