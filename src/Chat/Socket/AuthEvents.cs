using System.Text.Json.Serialization.Metadata;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>The event <c>auth</c>: presents a token, as the first frame or to renew one that is about to expire.</summary>
/// <param name="Token">The JWT.</param>
public sealed record Authenticate(string? Token) : IEvent<Authenticate>
{
    /// <inheritdoc/>
    public static string Name => "auth";

    /// <inheritdoc/>
    public static JsonTypeInfo<Authenticate> Json => SocketJson.Wire.Authenticate;
}

/// <summary>The event <c>auth_success</c>: the first frame after a token was accepted. Live events follow it.</summary>
/// <param name="UserId">The token's <c>sub</c>.</param>
/// <param name="ConnectionId">Identifies this connection, for support.</param>
/// <param name="ConnectedAt">When the socket was accepted.</param>
/// <param name="Epoch">Identifies the database's history. If it differs from the last one, discard all sequence numbers and reload.</param>
/// <param name="Heartbeat">The server's ping interval and timeout.</param>
/// <param name="Limits">The limits that apply to clients.</param>
public sealed record AuthSuccess(
    Guid UserId,
    Guid ConnectionId,
    DateTimeOffset ConnectedAt,
    Guid Epoch,
    AuthSuccess.HeartbeatTimes Heartbeat,
    AuthSuccess.ClientLimits Limits) : IEvent<AuthSuccess>
{
    /// <inheritdoc/>
    public static string Name => "auth_success";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthSuccess> Json => SocketJson.Wire.AuthSuccess;

    /// <summary>The heartbeat's interval and timeout, in seconds.</summary>
    public sealed record HeartbeatTimes(int PingSeconds, int TimeoutSeconds);

    /// <summary>Bytes per frame, Unicode scalar values per message, messages per second, events in the send queue.</summary>
    public sealed record ClientLimits(int MaxFrameBytes, int MaxContentLength, int MessagesPerSecond, int SendQueue);
}

/// <summary>The event <c>auth_failed</c>, after which the connection is closed with 4501.</summary>
/// <param name="Code">The machine-readable reason.</param>
/// <param name="Message">A description for developers.</param>
public sealed record AuthFailed(TokenFault Code, string Message) : IEvent<AuthFailed>
{
    /// <inheritdoc/>
    public static string Name => "auth_failed";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthFailed> Json => SocketJson.Wire.AuthFailed;
}
