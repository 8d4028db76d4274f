using System.Diagnostics;
using System.Net;
using System.Net.WebSockets;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary><c>GET /chat/ws</c>: accepts a handshake and runs the connection until it ends.</summary>
internal sealed partial class SocketEndpoint(
    Hub hub,
    Admission admission,
    SocketAuthenticator authenticator,
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

    /// <summary>Inserts the tracked stream below .NET's WebSocket; must run before <c>UseWebSockets</c>.</summary>
    public Task TrackUpgradeAsync(HttpContext http, RequestDelegate next)
    {
        // Like routing, ignore a trailing slash.
        if (!http.Request.Path.Value.AsSpan().TrimEnd('/').Equals(Path, StringComparison.OrdinalIgnoreCase))
            return next(http);
        var activity = new ActivityTracker(time);
        var transport = new Transport(http.Features.GetRequiredFeature<IHttpRequestLifetimeFeature>());
        http.Features.Set(activity);
        http.Features.Set(transport);
        if (http.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            http.Features.Set<IHttpUpgradeFeature>(new WatchedUpgrade(upgrade, http.Features.Get<TcpConnection>(), transport, activity));
        if (http.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
            http.Features.Set<IHttpExtendedConnectFeature>(
                new WatchedConnect(connect, http.Features.Get<TcpConnection>(), transport, activity));
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
            return TypedResults.Problem("The origin is not allowed.", statusCode: StatusCodes.Status403Forbidden);
        }

        var isLast = http.Features.Get<TcpConnection>() is { IsOnReserve: true };
        var (activity, token) = (http.Features.GetRequiredFeature<ActivityTracker>(), TokenOf(http));
        var remote = http.Connection.RemoteIpAddress is { } remoteAddress ? ClientAddress.Unmapped(remoteAddress) : null;
        var address = ClientAddress.Of(remote);
        if (admission.AcquireHandshakePermit(address, token is not null, isLast) is var wait && wait > TimeSpan.Zero)
        {
            if (isLast)
                http.Response.Headers.Connection = "close";
            return TypedResults.Problem(
                "The server is stopping, draining or at capacity.",
                statusCode: StatusCodes.Status503ServiceUnavailable,
                extensions: [KeyValuePair.Create<string, object?>("retryAfterMs", (int)Math.Ceiling(wait.TotalMilliseconds))]);
        }

        // The socket outlives the trace of its handshake.
        Activity.Current = null;
        var transport = http.Features.GetRequiredFeature<Transport>();
        // Before the accept: the next handshake must see this one counted.
        var slot = admission.TryEnter(address, token is not null);
        WebSocket accepted;
        try
        {
            accepted =
                await http.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = Timeout.InfiniteTimeSpan });
        }
        catch
        {
            slot?.Dispose();
            throw;
        }

        // ASP.NET Core's WebSocket holds on to the request; with a stream, create one on that instead.
        var ready = transport.Stream is null ? accepted : null;
        if (transport.IsDetached)
        {
            // The request ends here: flow none of its context.
            using (ExecutionContext.SuppressFlow())
                _ = Task.Run(() => RunConnectionAsync(ready, transport, activity, slot, remote, token), CancellationToken.None);
        }
        else
            await RunConnectionAsync(ready, transport, activity, slot, remote, token);
        return TypedResults.Empty;
    }

    /// <summary>Runs a connection from its acceptance to its end. Takes nothing of the request, which it may outlive.</summary>
    private async Task RunConnectionAsync(
        WebSocket? ready, Transport transport, ActivityTracker activity, Admission.ConnectionSlot? slot, IPAddress? address, string? token)
    {
        using var ended = transport;
        using var left = slot;
        // Keep-alive is the heartbeat's task.
        using var socket = ready ?? WebSocket.CreateFromStream(
            transport.Stream!, new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = Timeout.InfiniteTimeSpan });
        var connection = new Connection(socket, transport, limits, metrics, time, activity, slot) { Address = address, Traces = traces };
        hub.Add(connection);
        try
        {
            try
            {
                if (slot is null)
                    connection.Close(Disconnect.TooManyConnections);
                else if (hub.RefusalReason is { } reason)
                    // Admitted just before the drain began, and too late to be seen by it.
                    connection.Close(reason);
                else if (token is not null)
                    await authenticator.AuthenticateAsync(token, connection, id: null);
                // Do not keep it as long as the socket: it is the largest object here.
                token = null;
                await connection.RunAsync(dispatcher);
            }
            finally
            {
                await authenticator.OnDisconnectedAsync(connection);
            }

            if (connection.IsFaulted)
                await transport.LingerAsync(limits.CloseTimeout, time);
        }
#pragma warning disable CA1031 // Error boundary: of a detached connection nobody else would log the failure.
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
                connection.Token?.Identity?.Id, connection.Address, connection.Id, reason.Code, reason.Reason,
                time.GetUtcNow() - connection.ConnectedAt);
            hub.Release();
        }
    }

    // The query parameter takes precedence, valid or not.
    private static string? TokenOf(HttpContext http) =>
        http.Features.Get<QueryToken>()?.Value ?? BearerToken.In(http.Request.Headers.Authorization.ToString());

    [LoggerMessage(201, LogLevel.Error, "Connection {ConnectionId} failed")]
    private partial void ConnectionFailed(Exception failure, Guid connectionId);
}
