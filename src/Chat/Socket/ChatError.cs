using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Chat.Socket;

/// <summary>
/// The closed set of request errors. The connection survives each of them; what ends a connection is a
/// <see cref="Disconnect"/>. On the wire in upper snake case.
/// </summary>
[JsonConverter(typeof(ErrorCodeConverter))]
public enum ErrorCode
{
    /// <summary>Not JSON, or not an envelope.</summary>
    InvalidMessage,

    /// <summary>The envelope's type is unknown.</summary>
    UnknownEvent,

    /// <summary>A field is missing, of the wrong type, or out of range; <c>field</c> names it.</summary>
    ValidationError,

    /// <summary>The connection or request is not authenticated.</summary>
    Unauthorized,

    /// <summary>Not a member. The same whether or not the conversation exists.</summary>
    Forbidden,

    /// <summary>The requested resource does not exist.</summary>
    NotFound,

    /// <summary>One of the two users has blocked the other.</summary>
    Blocked,

    /// <summary>Rate limit exceeded; <c>retryAfterMs</c> says when to retry.</summary>
    RateLimited,

    /// <summary>A quota is used up; <c>field</c> names it.</summary>
    LimitReached,

    /// <summary>The database is unavailable or overloaded. Nothing was stored; the same request may be retried.</summary>
    Unavailable,

    /// <summary>An internal error; the server's log has the details.</summary>
    InternalError,
}

/// <summary>
/// The <c>error</c> event: the reply to a failed request. A value, not an exception: handlers return it, the dispatcher
/// sends it, REST turns it into problem details.
/// </summary>
/// <param name="Code">The machine-readable error code.</param>
/// <param name="Message">A description for developers. Never contains client input.</param>
/// <param name="Retryable">Whether the same request may succeed later, unchanged.</param>
/// <param name="RetryAfterMs">How long to wait before a retry, in milliseconds.</param>
/// <param name="TempId">The <c>tempId</c> of the refused message.</param>
/// <param name="Field">The invalid field, as a path in camelCase.</param>
public sealed record ChatError(
    ErrorCode Code,
    string Message,
    bool Retryable = false,
    int? RetryAfterMs = null,
    string? TempId = null,
    string? Field = null) : IEvent<ChatError>
{
    /// <inheritdoc/>
    public static string Name => "error";

    /// <inheritdoc/>
    public static JsonTypeInfo<ChatError> Json => SocketJson.Wire.ChatError;

    internal static ChatError NoEnvelope { get; } =
        new(ErrorCode.InvalidMessage, "A frame holds one JSON object: { type: string, id?: string, payload?: object }.");

    internal static ChatError UnknownEvent { get; } = new(ErrorCode.UnknownEvent, "Unknown event type.");

    internal static ChatError Unauthorized { get; } = new(ErrorCode.Unauthorized, "Authentication is required.");

    internal static ChatError NoConversationId { get; } = Invalid("conversationId", "A conversation id is required.");

    internal static ChatError Forbidden { get; } = new(ErrorCode.Forbidden, "You are not a member of this conversation.");

    internal static ChatError Blocked { get; } = new(ErrorCode.Blocked, "Messages between you and this person are blocked.");

    internal static ChatError Unavailable { get; } =
        new(ErrorCode.Unavailable, "The database is unavailable; nothing was stored.", Retryable: true, RetryAfterMs: 1000);

    internal static ChatError Internal { get; } = new(ErrorCode.InternalError, "Internal server error; see the server's log.");

    internal static ChatError Invalid(string? field, string message) =>
        new(ErrorCode.ValidationError, message, Field: field);

    internal static ChatError LimitReached(string field, string message) => new(ErrorCode.LimitReached, message, Field: field);

    internal static ChatError NotFound(string message) => new(ErrorCode.NotFound, message);

    internal static ChatError RateLimited(TimeSpan wait) =>
        new(ErrorCode.RateLimited, "Too many requests.", Retryable: true,
            RetryAfterMs: Math.Max(1, (int)Math.Ceiling(wait.TotalMilliseconds)));

    /// <summary>Returns the error for a payload that does not match its type; the JSON path becomes the field.</summary>
    internal static ChatError Malformed(JsonException failure) =>
        Invalid(failure.Path is { Length: > 2 } path && path.StartsWith("$.", StringComparison.Ordinal) ? path[2..] : null,
            "The value has the wrong type.");
}

internal sealed class ErrorCodeConverter() : JsonStringEnumConverter<ErrorCode>(JsonNamingPolicy.SnakeCaseUpper);

/// <summary>The codes' names on the wire and in metrics.</summary>
internal static class ErrorCodeNames
{
    private static readonly string[] Names = [.. Enum.GetNames<ErrorCode>().Select(JsonNamingPolicy.SnakeCaseUpper.ConvertName)];

    public static string Of(ErrorCode code) => Names[(int)code];
}
