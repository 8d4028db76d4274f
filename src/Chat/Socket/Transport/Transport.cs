using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>The connection below a WebSocket.</summary>
/// <param name="lifetime">Of the request that brought it, as long as that holds it.</param>
internal sealed class Transport(IHttpRequestLifetimeFeature lifetime) : IDisposable
{
    private IHttpRequestLifetimeFeature? request = lifetime;
    private System.Net.Sockets.Socket? socket;
    private TcpConnection? inner;
    private bool isShared;

    /// <summary>What the WebSocket reads and writes; TestServer has none.</summary>
    public SocketStream? Stream { get; private set; }

    /// <summary>Whether no request holds it any more.</summary>
    public bool IsDetached => socket is not null;

    /// <summary>Carries a stream that the request holds.</summary>
    /// <param name="stream">It.</param>
    /// <param name="sign">Of the other side's life.</param>
    /// <param name="connection">What it is on.</param>
    /// <param name="shared">Whether there may be others on it.</param>
    public SocketStream Attach(Stream stream, ActivityTracker sign, TcpConnection? connection, bool shared)
    {
        (inner, isShared) = (connection, shared);
        inner?.Attach();
        return Stream = new SocketStream(stream, [], sign);
    }

    /// <summary>Carries a socket that no request holds any more.</summary>
    /// <param name="taken">It.</param>
    /// <param name="readAhead">What was read from it already.</param>
    /// <param name="sign">Of the other side's life.</param>
    public SocketStream Attach(System.Net.Sockets.Socket taken, byte[] readAhead, ActivityTracker sign)
    {
        (socket, request) = (taken, null);
        return Stream = new SocketStream(new System.Net.Sockets.NetworkStream(taken, ownsSocket: false), readAhead, sign);
    }

    /// <summary>Whether the next frame waits for the one right behind it. There is nothing to join where there is no stream.</summary>
    public void Cork(bool moreFollows)
    {
        if (Stream is not null)
            Stream.IsCorked = moreFollows;
    }

    /// <summary>Ends the connection at once, whatever is still on its way.</summary>
    public void Abort()
    {
        request?.Abort();
        socket?.Close(timeout: 0);
    }

    /// <summary>
    /// Says that nothing follows, then discards what comes until the peer has closed, or for so long: a connection that is
    /// closed while bytes wait unread is reset by TCP, and a reset takes the close frame along on some systems.
    /// </summary>
    public async Task LingerAsync(TimeSpan patience, TimeProvider time)
    {
        // In HTTP/2 a stream's end is a frame like any other: nothing overtakes anything.
        if (Stream is null || (socket is null && (inner is null || isShared)))
            return;
        if (socket is not null)
            TcpConnection.HalfClose(socket);
        inner?.HalfClose();
        using var timeout = new CancellationTokenSource(patience, time);
        var rest = new byte[4096];
        try
        {
            while (await Stream.ReadAsync(rest, timeout.Token) > 0)
            {
            }
        }
        catch (Exception failure) when (SocketFailure.IsDisconnect(failure))
        {
            // Broken, or not closed in time.
        }
    }

    /// <summary>Ends the connection, if it is its own, behind what was written.</summary>
    public void Dispose()
    {
        inner?.Release();
        if (socket is not null)
            TcpConnection.CloseGracefully(socket);
    }
}
