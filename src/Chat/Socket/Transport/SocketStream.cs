using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Chat.Socket;

/// <summary>
/// What lies below a WebSocket: notes when something was read, reads ahead, and joins writes. .NET reads a frame's head
/// and its payload one by one, and writes and flushes each frame by itself; a change is up to three frames. Here one call
/// to the system reads what has come, and the frames of a change leave in one piece. And pings are made here.
/// </summary>
[SuppressMessage("Performance", "CA1844", Justification = "The WebSocket calls the Memory overloads, which are here.")]
internal sealed class SocketStream(Stream below, byte[] readAhead, ActivityTracker sign) : Stream
{
    private const int MaxReadAhead = 4 * 1024;
    private const int MaxCorkedBytes = 16 * 1024;

    // RFC 6455, 5.2: final, opcode, no mask, no bytes.
    private static readonly byte[] EmptyText = [0x81, 0];
    private static readonly byte[] Ping = [0x89, 0];
    private ReadOnlyMemory<byte> unread = readAhead;
    private byte[]? ahead;
    private byte[]? held;
    private int heldBytes;

    /// <summary>
    /// Whether another frame is right behind the one that is written next: then this one waits for it. Set by the
    /// send queue, which never leaves it on behind its last frame.
    /// </summary>
    public bool IsCorked { get; set; }

    public override bool CanRead => below.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => below.CanWrite;

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
        // A read of nothing waits until there is something, and holds no buffer.
        return buffer.Length is 0 or >= MaxReadAhead ? ReadInnerAsync(buffer, cancellationToken) : ReadAheadAsync(buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // .NET has no way to send a ping, and its own keep-alive comes up to a quarter late and not at all to who talks. A
        // text frame without text, which is never sent otherwise, becomes one here: below .NET's lock between two frames.
        if (buffer.Length == EmptyText.Length && buffer.Span.SequenceEqual(EmptyText))
            buffer = Ping;
        if (heldBytes + buffer.Length > MaxCorkedBytes)
            return FlushHeldAsync(buffer, cancellationToken);
        if (!IsCorked && heldBytes == 0)
            return below.WriteAsync(buffer, cancellationToken);
        held ??= ArrayPool<byte>.Shared.Rent(MaxCorkedBytes);
        buffer.CopyTo(held.AsMemory(heldBytes));
        heldBytes += buffer.Length;
        return IsCorked ? ValueTask.CompletedTask : FlushHeldAsync(default, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        heldBytes > 0 ? Task.CompletedTask : below.FlushAsync(cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => below.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count) => below.Write(buffer, offset, count);

    public override void Flush() => below.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Dispose leaves what is below alone: .NET disposes of its stream right behind a close of its own (1002, 1007), and a
    // connection that ends there overtakes the close frame, so that the client never learns the code.

    private async ValueTask<int> ReadInnerAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await below.ReadAsync(buffer, cancellationToken);
        sign.Touch();
        return read;
    }

    private async ValueTask<int> ReadAheadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ahead = ArrayPool<byte>.Shared.Rent(MaxReadAhead);
        unread = ahead.AsMemory(0, await ReadInnerAsync(ahead, cancellationToken));
        return TakeUnread(buffer);
    }

    private int TakeUnread(Memory<byte> buffer)
    {
        var taken = Math.Min(buffer.Length, unread.Length);
        unread[..taken].CopyTo(buffer);
        unread = unread[taken..];
        if (unread.IsEmpty && ahead is not null)
        {
            ArrayPool<byte>.Shared.Return(ahead);
            (ahead, unread) = (null, default);
        }

        return taken;
    }

    private async ValueTask FlushHeldAsync(ReadOnlyMemory<byte> last, CancellationToken cancellationToken)
    {
        if (held is not null)
        {
            await below.WriteAsync(held.AsMemory(0, heldBytes), cancellationToken);
            ArrayPool<byte>.Shared.Return(held);
            (held, heldBytes) = (null, 0);
        }

        if (!last.IsEmpty)
            await below.WriteAsync(last, cancellationToken);
    }
}
