using System.Net.WebSockets;

namespace Chat.Socket;

/// <summary>
/// The reasons for which the server ends a connection: the closed set of its close codes. The code tells the client what
/// to do: reconnect (with back-off and jitter) after 1001, 1012, 1013 and 4000–4499; do not reconnect after 4500–4999,
/// 1002, 1003, 1007 and 1009.
/// </summary>
/// <param name="Code">The WebSocket close code (RFC 6455, 7.4).</param>
/// <param name="Reason">A description for people reading a trace.</param>
public sealed record Disconnect(int Code, string Reason)
{
    /// <summary>The client closed; its code is echoed (RFC 6455, 5.5.1).</summary>
    public static readonly Disconnect NormalClosure = new((int)WebSocketCloseStatus.NormalClosure, "closed by the client");

    /// <summary>A framing error (RFC 6455). .NET's WebSocket detects it and closes with this code by itself.</summary>
    public static readonly Disconnect ProtocolError = new((int)WebSocketCloseStatus.ProtocolError, "protocol error");

    /// <summary>A binary frame; the protocol is text only.</summary>
    public static readonly Disconnect BinaryFrame = new((int)WebSocketCloseStatus.InvalidMessageType, "text frames only");

    /// <summary>A text frame that is not UTF-8.</summary>
    public static readonly Disconnect NotUtf8 = new((int)WebSocketCloseStatus.InvalidPayloadData, "not UTF-8");

    /// <summary>A frame larger than the limit, or in too many fragments.</summary>
    public static readonly Disconnect MessageTooBig = new((int)WebSocketCloseStatus.MessageTooBig, "frame too big");

    /// <summary>The server is shutting down; reconnect to another node, or to this one after its restart.</summary>
    public static readonly Disconnect ServerStopping = new(1012, "server stopping");

    /// <summary>The node is draining and accepts no connections; reconnect to another one.</summary>
    public static readonly Disconnect Draining = new(1012, "node draining");

    /// <summary>Closed by an operator, to make the client reconnect.</summary>
    public static readonly Disconnect ByOperator = new(1012, "closed by an operator");

    /// <summary>The node, the address or the user has too many connections.</summary>
    public static readonly Disconnect TooManyConnections = new(1013, "too many connections");

    /// <summary>The token cannot be validated yet, because the issuer's keys are unavailable.</summary>
    public static readonly Disconnect IssuerUnavailable = new(1013, "issuer unavailable");

    /// <summary>The token has expired; reconnect with a new one.</summary>
    public static readonly Disconnect TokenExpired = new(4401, "token expired");

    /// <summary>The client reads slower than events arrive; it recovers what it missed by a sync.</summary>
    public static readonly Disconnect SlowConsumer = new(4408, "slow consumer");

    /// <summary>Nothing was received, not even a pong, within the ping timeout.</summary>
    public static readonly Disconnect IdleTimeout = new(4412, "ping timeout");

    /// <summary>The token is invalid.</summary>
    public static readonly Disconnect NotAuthorised = new(4501, "not authorised");

    /// <summary>The client did not authenticate in time.</summary>
    public static readonly Disconnect AuthTimeout = new(4502, "authentication timeout");

    /// <summary>The client's requests keep failing.</summary>
    public static readonly Disconnect TooManyErrors = new(4503, "too many errors");
}
