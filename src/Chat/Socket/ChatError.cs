using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Chat.Socket;

/// <summary>
/// The closed list of what can be wrong with a request. The connection lives on after each of them; what ends a
/// connection is a <see cref="Disconnect"/>. On the wire in upper snake case.
/// </summary>
[JsonConverter(typeof(ErrorCodeConverter))]
public enum ErrorCode
{
    /// <summary>Not JSON, or JSON that is no envelope.</summary>
    InvalidMessage,

    /// <summary>An envelope whose type nobody handles.</summary>
    UnknownEvent,

    /// <summary>A field is missing, of the wrong type, or outside its bounds; <c>field</c> names it.</summary>
    ValidationError,

    /// <summary>Nobody is signed in on this connection or request.</summary>
    Unauthorized,

    /// <summary>Not a member. The same whether or not the thing exists.</summary>
    Forbidden,

    /// <summary>What the request names is not there.</summary>
    NotFound,

    /// <summary>One of the two has blocked the other.</summary>
    Blocked,

    /// <summary>Too many in too short a time; <c>retryAfterMs</c> says when to come back.</summary>
    RateLimited,

    /// <summary>There is as much of it already as there may be; <c>field</c> names what.</summary>
    LimitReached,

    /// <summary>The database is away or does not keep up. Nothing was stored; the same request may be repeated.</summary>
    Unavailable,

    /// <summary>A fault of the server's own, which its log names.</summary>
    InternalError,
}

/// <summary>
/// The <c>error</c> event: the answer to a request that was not carried out. A value, not an exception: handlers
/// return it, the dispatcher sends it, REST turns it into problem details.
/// </summary>
/// <param name="Code">What is wrong, for programs.</param>
/// <param name="Message">What is wrong, for developers. Never holds what the client sent.</param>
/// <param name="Retryable">Whether the same request may succeed later, unchanged.</param>
/// <param name="RetryAfterMs">Milliseconds to wait before that.</param>
/// <param name="TempId">The refused send's tempId.</param>
/// <param name="Field">The field that is wrong, as a path in camelCase.</param>
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

    internal static ChatError UnknownEvent { get; } = new(ErrorCode.UnknownEvent, "No event of this type is known.");

    internal static ChatError Unauthorized { get; } = new(ErrorCode.Unauthorized, "Authenticate first.");

    internal static ChatError Forbidden { get; } = new(ErrorCode.Forbidden, "You are not a member of this conversation.");

    internal static ChatError Blocked { get; } = new(ErrorCode.Blocked, "Messages between you and this person are blocked.");

    internal static ChatError Unavailable { get; } =
        new(ErrorCode.Unavailable, "The database is away; nothing was stored.", Retryable: true, RetryAfterMs: 1000);

    internal static ChatError Internal { get; } = new(ErrorCode.InternalError, "The server failed; its log says why.");

    internal static ChatError Invalid(string? field, string message) =>
        new(ErrorCode.ValidationError, message, Field: field);

    internal static ChatError LimitReached(string field, string message) => new(ErrorCode.LimitReached, message, Field: field);

    internal static ChatError NotFound(string message) => new(ErrorCode.NotFound, message);

    internal static ChatError RateLimited(TimeSpan wait) =>
        new(ErrorCode.RateLimited, "Too many requests.", Retryable: true, RetryAfterMs: Math.Max(1, (int)Math.Ceiling(wait.TotalMilliseconds)));

    /// <summary>The error for a body that its type could not be read from; the path in it becomes the field.</summary>
    internal static ChatError Malformed(JsonException failure) =>
        Invalid(failure.Path is { Length: > 2 } path && path.StartsWith("$.", StringComparison.Ordinal) ? path[2..] : null,
            "The value is not of the type that this field takes.");
}

internal sealed class ErrorCodeConverter() : JsonStringEnumConverter<ErrorCode>(JsonNamingPolicy.SnakeCaseUpper);

/// <summary>The codes as they stand on the wire and in metrics.</summary>
internal static class ErrorCodeNames
{
    private static readonly string[] Names = [.. Enum.GetNames<ErrorCode>().Select(JsonNamingPolicy.SnakeCaseUpper.ConvertName)];

    public static string Of(ErrorCode code) => Names[(int)code];
}
