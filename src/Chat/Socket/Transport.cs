using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>The connection below a WebSocket.</summary>
/// <param name="lifetime">Of the request that brought it, as long as that holds it.</param>
internal sealed class Transport(IHttpRequestLifetimeFeature lifetime)
{
    private IHttpRequestLifetimeFeature? request = lifetime;
    private ConnectionContext? connection;

    /// <summary>What the WebSocket reads and writes; TestServer has none.</summary>
    public SocketStream? Stream { get; private set; }

    /// <summary>Whether no request holds it any more.</summary>
    public bool IsHandedOver => connection is not null;

    /// <summary>Carries a stream that the request holds.</summary>
    public SocketStream Carry(Stream stream, LifeSign sign) => Stream = new SocketStream(stream, stream, sign);

    /// <summary>Carries a connection that no request holds any more.</summary>
    public SocketStream Carry(ConnectionContext own, LifeSign sign)
    {
        (connection, request) = (own, null);
        return Stream = new SocketStream(own.Transport.Input.AsStream(), own.Transport.Output.AsStream(), sign);
    }

    /// <summary>Whether the next frame waits for the one right behind it. There is nothing to join where there is no stream.</summary>
    public void JoinWrites(bool moreFollows)
    {
        if (Stream is not null)
            Stream.MoreFollows = moreFollows;
    }

    /// <summary>Ends the connection at once, whatever is still on its way.</summary>
    public void Cut()
    {
        request?.Abort();
        connection?.Abort();
    }

    /// <summary>
    /// Reads and forgets until the other side has closed, or for so long: a connection that is closed while bytes wait
    /// unread is reset by TCP, and a reset takes the close frame along on some systems.
    /// </summary>
    public async Task LingerAsync(TimeSpan patience, TimeProvider time)
    {
        if (Stream is null)
            return;
        using var timeout = new CancellationTokenSource(patience, time);
        var rest = new byte[4096];
        try
        {
            while (await Stream.ReadAsync(rest, timeout.Token) > 0)
            {
            }
        }
        catch (Exception failure) when (SocketFailure.IsTheOtherSide(failure))
        {
            // Broken, or not closed in time.
        }
    }
}
