using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>
/// When the other side was last heard of. .NET's WebSocket swallows pongs, so the stream below it is watched: whatever
/// arrives, pongs included, is a sign of life.
/// </summary>
internal sealed class ActivityTracker(TimeProvider time)
{
    private long last = time.GetTimestamp();

    public TimeSpan IdleTime => time.GetElapsedTime(Volatile.Read(ref last));

    public void Touch() => Volatile.Write(ref last, time.GetTimestamp());
}

/// <summary>Hands out the upgraded connection (HTTP/1.1) as a <see cref="SocketStream"/>, without the request where that can be.</summary>
internal sealed class WatchedUpgrade(IHttpUpgradeFeature inner, TcpConnection? connection, Transport transport, ActivityTracker sign) : IHttpUpgradeFeature
{
    public bool IsUpgradableRequest => inner.IsUpgradableRequest;

    public async Task<Stream> UpgradeAsync()
    {
        var upgraded = await inner.UpgradeAsync();
        return connection?.Detach() is var (socket, readAhead) ? transport.Attach(socket, readAhead, sign) : transport.Attach(upgraded, sign, connection, shared: false);
    }
}

/// <summary>The same for WebSockets over HTTP/2 (RFC 8441).</summary>
internal sealed class WatchedConnect(IHttpExtendedConnectFeature inner, TcpConnection? connection, Transport transport, ActivityTracker sign) : IHttpExtendedConnectFeature
{
    public bool IsExtendedConnect => inner.IsExtendedConnect;

    public string? Protocol => inner.Protocol;

    public async ValueTask<Stream> AcceptAsync() => transport.Attach(await inner.AcceptAsync(), sign, connection, shared: true);
}
