using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>
/// The connection below a WebSocket. ASP.NET Core aborts it once .NET has no more use for the socket, and that may be
/// right behind a close frame (1002, 1007), which the abort then overtakes: the client would never learn the code. So
/// an abort from there is held back, and ours, which knows what it does, goes through.
/// </summary>
internal sealed class Transport(IHttpRequestLifetimeFeature lifetime) : IHttpRequestLifetimeFeature
{
    /// <summary>What the WebSocket reads and writes, once there is one.</summary>
    public SocketStream? Stream { get; set; }

    /// <summary>Whether the next frame waits for the one right behind it. There is nothing to join where there is no stream.</summary>
    public void JoinWrites(bool moreFollows)
    {
        if (Stream is not null)
            Stream.MoreFollows = moreFollows;
    }

    public CancellationToken RequestAborted
    {
        get => lifetime.RequestAborted;
        set => lifetime.RequestAborted = value;
    }

    void IHttpRequestLifetimeFeature.Abort()
    {
        // Held back; see above.
    }

    /// <summary>Ends the connection at once, whatever is still on its way.</summary>
    public void Cut() => lifetime.Abort();

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
