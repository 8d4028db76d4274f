using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Chat.Socket;

/// <summary>
/// What lies below a WebSocket: notes when something was read, and joins writes. .NET writes and flushes each frame by
/// itself; a change is up to three frames, and here they leave in one piece.
/// </summary>
[SuppressMessage("Performance", "CA1844", Justification = "The WebSocket calls the Memory overloads, which are here.")]
internal sealed class SocketStream(Stream input, Stream output, LifeSign sign) : Stream
{
    private const int MostHeldBack = 16 * 1024;
    private byte[]? held;
    private int heldBytes;

    /// <summary>
    /// Whether another frame is right behind the one that is written next: then this one waits for it. Set by the
    /// send queue, which never leaves it on behind its last frame.
    /// </summary>
    public bool MoreFollows { get; set; }

    public override bool CanRead => input.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => output.CanWrite;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await input.ReadAsync(buffer, cancellationToken);
        sign.Touch();
        return read;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (heldBytes + buffer.Length > MostHeldBack)
            return WriteOutAsync(buffer, cancellationToken);
        if (!MoreFollows && heldBytes == 0)
            return output.WriteAsync(buffer, cancellationToken);
        held ??= ArrayPool<byte>.Shared.Rent(MostHeldBack);
        buffer.CopyTo(held.AsMemory(heldBytes));
        heldBytes += buffer.Length;
        return MoreFollows ? ValueTask.CompletedTask : WriteOutAsync(default, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        heldBytes > 0 ? Task.CompletedTask : output.FlushAsync(cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer, offset, count);

    public override void Flush() => output.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Dispose leaves what is below alone: .NET disposes of its stream right behind a close of its own (1002, 1007), and a
    // connection that ends there overtakes the close frame, so that the client never learns the code.

    private async ValueTask WriteOutAsync(ReadOnlyMemory<byte> last, CancellationToken cancellationToken)
    {
        if (held is not null)
        {
            await output.WriteAsync(held.AsMemory(0, heldBytes), cancellationToken);
            ArrayPool<byte>.Shared.Return(held);
            (held, heldBytes) = (null, 0);
        }

        if (!last.IsEmpty)
            await output.WriteAsync(last, cancellationToken);
    }
}
