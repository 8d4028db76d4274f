using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>The connection below a WebSocket.</summary>
/// <param name="lifetime">The lifetime of the request that it came from, until it is detached.</param>
internal sealed class Transport(IHttpRequestLifetimeFeature lifetime) : IDisposable
{
    private IHttpRequestLifetimeFeature? request = lifetime;
    private System.Net.Sockets.Socket? socket;
    private TcpConnection? inner;
    private bool isShared;

    /// <summary>The stream that the WebSocket uses; null under TestServer.</summary>
    public SocketStream? Stream { get; private set; }

    /// <summary>Whether it is detached from its request.</summary>
    public bool IsDetached => socket is not null;

    /// <summary>Attaches a stream owned by the request.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="activity">Tracks the peer's activity.</param>
    /// <param name="connection">The connection below the stream.</param>
    /// <param name="shared">Whether other streams may use the same connection.</param>
    public SocketStream Attach(Stream stream, ActivityTracker activity, TcpConnection? connection, bool shared)
    {
        (inner, isShared) = (connection, shared);
        inner?.Attach();
        return Stream = new SocketStream(stream, [], activity);
    }

    /// <summary>Attaches a socket detached from its request.</summary>
    /// <param name="detached">The socket.</param>
    /// <param name="readAhead">The bytes that were read from it already.</param>
    /// <param name="activity">Tracks the peer's activity.</param>
    public SocketStream Attach(System.Net.Sockets.Socket detached, byte[] readAhead, ActivityTracker activity)
    {
        (socket, request) = (detached, null);
        return Stream = new SocketStream(new System.Net.Sockets.NetworkStream(detached, ownsSocket: false), readAhead, activity);
    }

    /// <summary>Sets whether writes wait for the frame that follows. Without a stream there is nothing to coalesce.</summary>
    public void Cork(bool moreFollows)
    {
        if (Stream is not null)
            Stream.IsCorked = moreFollows;
    }

    /// <summary>Aborts the connection, discarding unsent data.</summary>
    public void Abort()
    {
        request?.Abort();
        socket?.Close(timeout: 0);
    }

    /// <summary>
    /// Shuts down sending, then discards input until the peer closes, at most for the timeout. TCP resets a connection that is
    /// closed with unread input, and on some systems a reset drops the close frame.
    /// </summary>
    public async Task LingerAsync(TimeSpan limit, TimeProvider time)
    {
        // In HTTP/2 the end of a stream is a frame like any other, and overtakes nothing.
        if (Stream is null || (socket is null && (inner is null || isShared)))
            return;
        if (socket is not null)
            TcpConnection.HalfClose(socket);
        inner?.HalfClose();
        using var timeout = new CancellationTokenSource(limit, time);
        var buffer = new byte[4096];
        try
        {
            while (await Stream.ReadAsync(buffer, timeout.Token) > 0)
            {
            }
        }
        catch (Exception failure) when (SocketFailure.IsDisconnect(failure))
        {
            // Broken, or not closed in time.
        }
    }

    /// <summary>Closes the connection after what was written, if detached.</summary>
    public void Dispose()
    {
        inner?.Release();
        if (socket is not null)
            TcpConnection.CloseGracefully(socket);
    }
}
