using System.Net.WebSockets;

namespace Chat.Socket;

/// <summary>
/// Why the server ends a connection: the closed list of its close codes. The code tells the client what to do:
/// 1001, 1012, 1013 and 4000–4499 say come back (with back-off and jitter); 4500–4999, 1002, 1003, 1007 and 1009 say do not.
/// </summary>
/// <param name="Code">The WebSocket close code (RFC 6455, 7.4).</param>
/// <param name="Reason">For people reading a trace.</param>
public sealed record Disconnect(int Code, string Reason)
{
    /// <summary>The client closed; its close is answered, with the code that it gave (RFC 6455, 5.5.1).</summary>
    public static readonly Disconnect NormalClosure = new((int)WebSocketCloseStatus.NormalClosure, "closed by the client");

    /// <summary>A fault in the frames themselves (RFC 6455): .NET's WebSocket finds it and closes, with this code, by itself.</summary>
    public static readonly Disconnect ProtocolError = new((int)WebSocketCloseStatus.ProtocolError, "protocol error");

    /// <summary>A binary frame: this protocol speaks text.</summary>
    public static readonly Disconnect BinaryFrame = new((int)WebSocketCloseStatus.InvalidMessageType, "text frames only");

    /// <summary>A text frame that is not UTF-8.</summary>
    public static readonly Disconnect NotUtf8 = new((int)WebSocketCloseStatus.InvalidPayloadData, "not UTF-8");

    /// <summary>A frame larger than the limit, or in too many fragments.</summary>
    public static readonly Disconnect MessageTooBig = new((int)WebSocketCloseStatus.MessageTooBig, "frame too big");

    /// <summary>The server is going down; another one, or this one again, is there soon.</summary>
    public static readonly Disconnect ServerStopping = new(1012, "server stopping");

    /// <summary>The node takes nobody for a while; another one does.</summary>
    public static readonly Disconnect Draining = new(1012, "node draining");

    /// <summary>An operator wants this client elsewhere, or to begin anew.</summary>
    public static readonly Disconnect ByOperator = new(1012, "closed by an operator");

    /// <summary>The node or the user has too many connections.</summary>
    public static readonly Disconnect TooManyConnections = new(1013, "too many connections");

    /// <summary>Whether the token is valid cannot be told yet, because the issuer has not given its keys.</summary>
    public static readonly Disconnect IssuerUnavailable = new(1013, "issuer away");

    /// <summary>The token ran out: come back with a fresh one.</summary>
    public static readonly Disconnect TokenExpired = new(4401, "token expired");

    /// <summary>The client reads slower than events arrive; what it missed is there for sync.</summary>
    public static readonly Disconnect SlowConsumer = new(4408, "slow consumer");

    /// <summary>No frame, not even a pong, for the heartbeat's time-out.</summary>
    public static readonly Disconnect IdleTimeout = new(4412, "no sign of life");

    /// <summary>The token is not one of ours.</summary>
    public static readonly Disconnect NotAuthorised = new(4501, "not authorised");

    /// <summary>No token in time.</summary>
    public static readonly Disconnect AuthTimeout = new(4502, "no token in time");

    /// <summary>A client that does little else than make errors.</summary>
    public static readonly Disconnect TooManyErrors = new(4503, "too many errors");
}
