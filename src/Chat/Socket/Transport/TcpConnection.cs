using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Chat.Socket;

/// <summary>
/// A TCP connection that serves HTTP until a WebSocket detaches its socket. Kestrel keeps the request for the lifetime of
/// an upgraded connection, plus two pipes and their loops: several times the memory of the socket itself, and two more
/// hops for every frame. So the request and Kestrel's connection end with the handshake, and the socket lives on without
/// them. Under TLS terminated here and in HTTP/2 the request stays, since a layer lies between the two.
/// </summary>
internal sealed class TcpConnection : DefaultConnectionContext
{
    private readonly System.Net.Sockets.Socket socket;

    // Never disposed: an abort may come at any time, and it holds nothing but its tokens.
    private readonly CancellationTokenSource closed = new();
    private readonly HttpConnectionLimiter http;
    private bool isDetached;
    private int attached;

    /// <param name="socket">The socket that was accepted.</param>
    /// <param name="isLast">See <see cref="IsOnReserve"/>.</param>
    /// <param name="http">Counts the connection while it carries no WebSocket.</param>
    public TcpConnection(System.Net.Sockets.Socket socket, bool isLast, HttpConnectionLimiter http)
        : base(Guid.CreateVersion7().ToString("N"))
    {
        this.socket = socket;
        this.http = http;
        IsOnReserve = isLast;
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = closed.Token;
        var stream = new ActivityStream(this);
        Transport = new Pipes(
            PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true, useZeroByteReads: true)),
            new Output(this, PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true))));
        Features.Set(this);
        http.Add(this);
    }

    /// <summary>The connection's entry in the <see cref="HttpConnectionLimiter"/>.</summary>
    public HttpConnectionLimiter.Entry? Entry { get; set; }

    /// <summary>Whether it has ended; for the <see cref="HttpConnectionLimiter"/>.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Whether it uses a reserved file descriptor: good for a refusal, not for a WebSocket.</summary>
    public bool IsOnReserve { get; }

    /// <summary>Detaches the socket right after the handshake's response; HTTP no longer uses it.</summary>
    /// <returns>The socket and the bytes read ahead; null if TLS lies between.</returns>
    public (System.Net.Sockets.Socket Socket, byte[] ReadAhead)? Detach()
    {
        if (Features.Get<ITlsHandshakeFeature>() is not null)
            return null;
        isDetached = true;
        http.Remove(this);
        if (!Transport.Input.TryRead(out var read))
            return (socket, []);
        var readAhead = read.Buffer.ToArray();
        Transport.Input.AdvanceTo(read.Buffer.End);
        return (socket, readAhead);
    }

    /// <summary>Counts a WebSocket on this connection; over HTTP/2 there may be many.</summary>
    public void Attach()
    {
        if (Interlocked.Increment(ref attached) == 1)
            http.Remove(this);
    }

    /// <summary>Releases a WebSocket that was counted by <see cref="Attach"/>.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref attached) == 0)
            http.Add(this);
    }

    /// <summary>Shuts down sending; the peer may still send.</summary>
    public void HalfClose() => HalfClose(socket);

    public override void Abort(ConnectionAbortedException abortReason)
    {
        if (!isDetached)
            socket.Close(timeout: 0);
        _ = closed.CancelAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await Transport.Input.CompleteAsync();
        await Transport.Output.CompleteAsync();
        http.Remove(this, isOver: true);
        if (!isDetached)
            CloseGracefully(socket);
        await base.DisposeAsync();
    }

    /// <summary>Closes a socket after what was written to it.</summary>
    public static void CloseGracefully(System.Net.Sockets.Socket socket)
    {
        Shutdown(socket, SocketShutdown.Both);
        socket.Dispose();
    }

    /// <summary>See <see cref="HalfClose()"/>.</summary>
    public static void HalfClose(System.Net.Sockets.Socket socket) => Shutdown(socket, SocketShutdown.Send);

    private static void Shutdown(System.Net.Sockets.Socket socket, SocketShutdown how)
    {
        try
        {
            socket.Shutdown(how);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The peer was faster.
        }
    }

    /// <summary>Reports received data to the limiter.</summary>
    private sealed class ActivityStream(TcpConnection connection) : NetworkStream(connection.socket, ownsSocket: false)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            if (read > 0)
                connection.http.OnActivity(connection);
            return read;
        }
    }

    private sealed class Pipes(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    /// <summary>HTTP's output. Like Kestrel's own pipes, a failed flush reports completion and does not throw.</summary>
    private sealed class Output(TcpConnection connection, PipeWriter inner) : PipeWriter
    {
        private bool isBroken;

        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes) => inner.Advance(bytes);

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override async ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            if (isBroken || connection.isDetached)
                return new FlushResult(isCanceled: false, isCompleted: true);
            try
            {
                return await inner.FlushAsync(cancellationToken);
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                isBroken = true;
                return new FlushResult(isCanceled: false, isCompleted: true);
            }
        }

        public override void Complete(Exception? exception = null)
        {
            // Unflushed output must not reach a socket that is gone, or detached.
            if (isBroken || connection.isDetached)
                exception ??= new OperationCanceledException();
            try
            {
                inner.Complete(exception);
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                isBroken = true;
            }
        }
    }
}
