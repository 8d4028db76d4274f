using System.Text.Json.Serialization.Metadata;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>The event <c>auth</c>: presents a token, as the first frame or in place of one that runs out.</summary>
/// <param name="Token">The JWT.</param>
public sealed record Authenticate(string? Token) : IEvent<Authenticate>
{
    /// <inheritdoc/>
    public static string Name => "auth";

    /// <inheritdoc/>
    public static JsonTypeInfo<Authenticate> Json => SocketJson.Wire.Authenticate;
}

/// <summary>The event <c>auth_success</c>: the first frame of an accepted user. From here on live events arrive.</summary>
/// <param name="UserId">The token's <c>sub</c>.</param>
/// <param name="ConnectionId">Names this connection, for support.</param>
/// <param name="ConnectedAt">When the socket was accepted.</param>
/// <param name="Epoch">The lineage of the database. Another one than last time: drop all numbers and load afresh.</param>
/// <param name="Heartbeat">How often the server pings, and when it gives up.</param>
/// <param name="Limits">What a client must keep within.</param>
public sealed record AuthSuccess(
    Guid UserId,
    Guid ConnectionId,
    DateTimeOffset ConnectedAt,
    Guid Epoch,
    AuthSuccess.Beat Heartbeat,
    AuthSuccess.Bounds Limits) : IEvent<AuthSuccess>
{
    /// <inheritdoc/>
    public static string Name => "auth_success";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthSuccess> Json => SocketJson.Wire.AuthSuccess;

    /// <summary>Both in seconds.</summary>
    public sealed record Beat(int PingSeconds, int TimeoutSeconds);

    /// <summary>Bytes, Unicode scalar values, sends a second, events.</summary>
    public sealed record Bounds(int MaxFrameBytes, int MaxContentLength, int MessagesPerSecond, int SendQueue);
}

/// <summary>The event <c>auth_failed</c>, after which the connection is closed with 4501.</summary>
/// <param name="Code">For programs.</param>
/// <param name="Message">For developers.</param>
public sealed record AuthFailed(TokenFault Code, string Message) : IEvent<AuthFailed>
{
    /// <inheritdoc/>
    public static string Name => "auth_failed";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthFailed> Json => SocketJson.Wire.AuthFailed;
}
