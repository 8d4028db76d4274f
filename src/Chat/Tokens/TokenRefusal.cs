using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>
/// The closed set of reasons to refuse a token, for operators: in the audit log and as a metric's label. Clients see only
/// the <see cref="TokenFault"/>.
/// </summary>
public enum RefusalReason
{
    /// <summary>Not a JWT.</summary>
    Malformed,

    /// <summary>The algorithm is not allowed.</summary>
    WrongAlgorithm,

    /// <summary>Signed by no known key, and its key id is missing or not published by the issuer.</summary>
    UnknownKey,

    /// <summary>The signature does not match the named key.</summary>
    BadSignature,

    /// <summary>Wrong <c>iss</c>.</summary>
    WrongIssuer,

    /// <summary>Its <c>aud</c> does not contain ours.</summary>
    WrongAudience,

    /// <summary>Its <c>typ</c> is not that of an access token.</summary>
    WrongType,

    /// <summary>Its header has <c>crit</c>: extensions that must be understood (RFC 7515, 4.1.11); none is supported.</summary>
    CriticalHeader,

    /// <summary>No <c>exp</c>.</summary>
    NoExpiry,

    /// <summary>Its <c>exp</c> has passed.</summary>
    Expired,

    /// <summary>Its <c>nbf</c> is in the future by more than the allowed skew.</summary>
    NotYetValid,

    /// <summary>Its <c>iat</c> is in the future by more than the allowed skew, or not a number.</summary>
    BadIssuedAt,

    /// <summary>Its <c>sub</c> is not a valid user; see <c>Jwt:Subjects</c>.</summary>
    BadSubject,

    /// <summary>Revoked.</summary>
    Revoked,

    /// <summary>Valid, but not the user's whose connection it was sent on.</summary>
    AnotherUsers,

    /// <summary>Any other validation error of the library.</summary>
    Other,
}

/// <summary>The reasons' names in metrics.</summary>
internal static class RefusalReasonNames
{
    private static readonly string[] Names = [.. Enum.GetNames<RefusalReason>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];

    public static string Of(RefusalReason reason) => Names[(int)reason];
}

/// <summary>Why a token was refused, and its unverified issuer and key id.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Issuer">Its <c>iss</c>, truncated and in printable ASCII; a dash if missing.</param>
/// <param name="KeyId">Its <c>kid</c>, likewise.</param>
public sealed record TokenRefusal(RefusalReason Reason, string Issuer, string KeyId)
{
    private const int MaxShown = 64;
    private const string None = "-";

    internal static TokenRefusal Of(RefusalReason reason, JsonWebToken? token) =>
        new(reason, Shown(token, read => read.Issuer), Shown(token, read => read.Kid));

    /// <summary>The reason as reported to clients.</summary>
    internal TokenFault Fault => Reason == RefusalReason.Expired ? TokenFault.TokenExpired : TokenFault.TokenInvalid;

    // Untrusted text: must not break a line or fill the log.
    private static string Shown(JsonWebToken? token, Func<JsonWebToken, string?> field)
    {
        string? text = null;
        try
        {
            text = token is null ? null : field(token);
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or InvalidOperationException or JsonException
            or SecurityTokenException)
        {
            // The field's type is not the one that the library expects.
        }

        return string.IsNullOrEmpty(text) ? None : string.Concat(text.Take(MaxShown).Select(unit => unit is > ' ' and <= '~' ? unit : '?'));
    }
}

/// <summary>A token violates one of our own rules, beyond the library's.</summary>
internal sealed class TokenRefusedException(RefusalReason reason, string message) : SecurityTokenValidationException(message)
{
    public RefusalReason Reason => reason;
}
