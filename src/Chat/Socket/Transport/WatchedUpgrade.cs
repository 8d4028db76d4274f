using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>Wraps the upgraded connection (HTTP/1.1) in a <see cref="SocketStream"/>, detached from the request where possible.</summary>
internal sealed class WatchedUpgrade(IHttpUpgradeFeature inner, TcpConnection? connection, Transport transport, ActivityTracker activity)
    : IHttpUpgradeFeature
{
    public bool IsUpgradableRequest => inner.IsUpgradableRequest;

    public async Task<Stream> UpgradeAsync()
    {
        var upgraded = await inner.UpgradeAsync();
        return connection?.Detach() is var (socket, readAhead)
            ? transport.Attach(socket, readAhead, activity) : transport.Attach(upgraded, activity, connection, shared: false);
    }
}

/// <summary>Does the same for WebSockets over HTTP/2 (RFC 8441).</summary>
internal sealed class WatchedConnect(IHttpExtendedConnectFeature inner, TcpConnection? connection, Transport transport,
    ActivityTracker activity) : IHttpExtendedConnectFeature
{
    public bool IsExtendedConnect => inner.IsExtendedConnect;

    public string? Protocol => inner.Protocol;

    public async ValueTask<Stream> AcceptAsync() => transport.Attach(await inner.AcceptAsync(), activity, connection, shared: true);
}
