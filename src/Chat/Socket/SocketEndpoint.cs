using System.Diagnostics;
using System.Net;
using System.Net.WebSockets;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary><c>GET /chat/ws</c>: from a handshake to a connection that runs until it ends.</summary>
internal sealed partial class SocketEndpoint(
    Hub hub,
    Admission admission,
    SocketAuthenticator authentication,
    SocketDispatcher dispatcher,
    Origins origins,
    FrameTraces traces,
    AuditLog audit,
    Limits limits,
    ServerMetrics metrics,
    TimeProvider time,
    ILogger<SocketEndpoint> log)
{
    public const string Path = "/chat/ws";

    /// <summary>Puts the watched stream under the WebSockets of .NET; must stand before <c>UseWebSockets</c>.</summary>
    public Task TrackUpgradeAsync(HttpContext http, RequestDelegate next)
    {
        // As routing sees it, to which a slash behind makes no difference.
        if (!http.Request.Path.Value.AsSpan().TrimEnd('/').Equals(Path, StringComparison.OrdinalIgnoreCase))
            return next(http);
        var sign = new ActivityTracker(time);
        var transport = new Transport(http.Features.GetRequiredFeature<IHttpRequestLifetimeFeature>());
        http.Features.Set(sign);
        http.Features.Set(transport);
        if (http.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            http.Features.Set<IHttpUpgradeFeature>(new WatchedUpgrade(upgrade, http.Features.Get<TcpConnection>(), transport, sign));
        if (http.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
            http.Features.Set<IHttpExtendedConnectFeature>(new WatchedConnect(connect, http.Features.Get<TcpConnection>(), transport, sign));
        return next(http);
    }

    public async Task<IResult> HandleAsync(HttpContext http)
    {
        if (Handshake.Refusal(http) is { } refusal)
            return refusal;
        if (!origins.Admits(http.Request))
        {
            audit.OriginRefused(Origins.Shown(http.Request.Headers.Origin.ToString()), Origins.Shown(Origins.OwnOf(http.Request)));
            metrics.HandshakeRefused("origin");
            return TypedResults.Problem("Pages of this origin may not connect.", statusCode: StatusCodes.Status403Forbidden);
        }

        var isLast = http.Features.Get<TcpConnection>() is { IsOnReserve: true };
        var (sign, token) = (http.Features.GetRequiredFeature<ActivityTracker>(), TokenOf(http));
        var remote = http.Connection.RemoteIpAddress is { } told ? ClientAddress.Unmapped(told) : null;
        var address = ClientAddress.Of(remote);
        if (admission.AcquireHandshakePermit(address, token is not null, isLast) is var wait && wait > TimeSpan.Zero)
        {
            if (isLast)
                http.Response.Headers.Connection = "close";
            return TypedResults.Problem(
                "The server is stopping, draining, full, or busy with other handshakes.",
                statusCode: StatusCodes.Status503ServiceUnavailable,
                extensions: [KeyValuePair.Create<string, object?>("retryAfterMs", (int)Math.Ceiling(wait.TotalMilliseconds))]);
        }

        // The socket outlives any trace of its handshake.
        Activity.Current = null;
        var transport = http.Features.GetRequiredFeature<Transport>();
        // Counted before the client is told: whoever comes next finds this one in.
        var place = admission.TryEnter(address, token is not null);
        WebSocket accepted;
        try
        {
            accepted = await http.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = Timeout.InfiniteTimeSpan });
        }
        catch
        {
            place?.Dispose();
            throw;
        }

        // ASP.NET Core's own holds on to the request: where there is a stream, there will be another one on it.
        var ready = transport.Stream is null ? accepted : null;
        if (transport.IsDetached)
        {
            // The request ends here, and nothing that flows along with it may be kept.
            using (ExecutionContext.SuppressFlow())
                _ = Task.Run(() => RunConnectionAsync(ready, transport, sign, place, remote, token), CancellationToken.None);
        }
        else
            await RunConnectionAsync(ready, transport, sign, place, remote, token);
        return TypedResults.Empty;
    }

    /// <summary>Holds a connection from its acceptance to its end. Of the request it knows only this, for it may outlive it.</summary>
    private async Task RunConnectionAsync(WebSocket? ready, Transport transport, ActivityTracker sign, Admission.ConnectionSlot? place, IPAddress? address, string? token)
    {
        using var ended = transport;
        using var left = place;
        // The heartbeat pings.
        using var socket = ready ?? WebSocket.CreateFromStream(
            transport.Stream!, new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = Timeout.InfiniteTimeSpan });
        var connection = new Connection(socket, transport, limits, metrics, time, sign, place) { Address = address, Traces = traces };
        hub.Add(connection);
        try
        {
            try
            {
                if (place is null)
                    connection.Close(Disconnect.TooManyConnections);
                else if (hub.RefusalReason is { } reason)
                    // Let in just before the drain began, and too late to be seen by it.
                    connection.Close(reason);
                else if (token is not null)
                    await authentication.AuthenticateAsync(token, connection, id: null);
                // Not to be kept for as long as the socket: it is the largest thing here.
                token = null;
                await connection.RunAsync(dispatcher);
            }
            finally
            {
                await authentication.OnDisconnectedAsync(connection);
            }

            if (connection.IsFaulted)
                await transport.LingerAsync(limits.CloseTimeout, time);
        }
#pragma warning disable CA1031 // The boundary: where no request holds the connection, nobody else would say what ended it.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            connection.Abort();
            ConnectionFailed(failure, connection.Id);
        }
        finally
        {
            var reason = connection.EndReason ?? Connection.AbnormalClosure;
            audit.Disconnected(
                connection.Token?.Identity?.Id, connection.Address, connection.Id, reason.Code, reason.Reason, time.GetUtcNow() - connection.ConnectedAt);
            hub.Release();
        }
    }

    // The first that is there wins, be it good or bad.
    private static string? TokenOf(HttpContext http) =>
        http.Features.Get<QueryToken>()?.Value ?? BearerToken.In(http.Request.Headers.Authorization.ToString());

    [LoggerMessage(201, LogLevel.Error, "Connection {ConnectionId} failed")]
    private partial void ConnectionFailed(Exception failure, Guid connectionId);
}
