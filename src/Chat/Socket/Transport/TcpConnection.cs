using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Chat.Socket;

/// <summary>
/// A TCP connection that HTTP may use until a WebSocket takes its socket. Kestrel keeps a request for as long as its
/// upgraded connection, and two pipes with their loops for each connection: several times of what the socket itself
/// needs, and two hops more for every frame. So the request and Kestrel's connection end with the handshake, and the
/// socket goes on without them. Not where something lies between the two: under TLS of our own and in HTTP/2 the request
/// stays.
/// </summary>
internal sealed class TcpConnection : DefaultConnectionContext
{
    private readonly System.Net.Sockets.Socket socket;

    // Never disposed of: an abort may come at any time, and there is nothing in it but the tokens that it gave.
    private readonly CancellationTokenSource closed = new();
    private readonly HttpConnectionLimiter http;
    private bool isDetached;
    private int attached;

    /// <param name="socket">The socket that was accepted.</param>
    /// <param name="isLast">See <see cref="IsOnReserve"/>.</param>
    /// <param name="http">Counts it while it carries no WebSocket.</param>
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

    /// <summary>Among the connections without a WebSocket.</summary>
    public HttpConnectionLimiter.Entry? Entry { get; set; }

    /// <summary>Whether it has ended, for the same.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Whether its file descriptor is one of the last: for an answer, and not for a socket that stays.</summary>
    public bool IsOnReserve { get; }

    /// <summary>Takes the socket, right behind the answer to the handshake. From then on HTTP touches it no more.</summary>
    /// <returns>The socket and what was read ahead of it; null if it is not HTTP's alone.</returns>
    public (System.Net.Sockets.Socket Socket, byte[] ReadAhead)? Detach()
    {
        if (Features.Get<ITlsHandshakeFeature>() is not null)
            return null;
        isDetached = true;
        http.Remove(this);
        if (!Transport.Input.TryRead(out var read))
            return (socket, []);
        var ahead = read.Buffer.ToArray();
        Transport.Input.AdvanceTo(read.Buffer.End);
        return (socket, ahead);
    }

    /// <summary>It carries a WebSocket beside HTTP; in HTTP/2 there may be many.</summary>
    public void Attach()
    {
        if (Interlocked.Increment(ref attached) == 1)
            http.Remove(this);
    }

    /// <summary>A WebSocket that it carried is over.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref attached) == 0)
            http.Add(this);
    }

    /// <summary>Says to the other side that nothing follows. It may still send.</summary>
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

    /// <summary>Ends a socket behind what was written to it.</summary>
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
            // The other side was quicker.
        }
    }

    /// <summary>Notes that something has come.</summary>
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

    /// <summary>What HTTP writes to. A flush that fails says that the other side is gone, and never throws: so HTTP knows its pipes.</summary>
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
            // What was not flushed is not for a socket that is gone, or somebody else's.
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
