using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>The closed list of reasons to refuse a token, for operators: in the audit log and as a metric's label. Clients learn the <see cref="TokenFault"/> alone.</summary>
public enum RefusalReason
{
    /// <summary>It is no JWT.</summary>
    Malformed,

    /// <summary>Its algorithm is not the pinned one.</summary>
    WrongAlgorithm,

    /// <summary>No key of the issuer's has signed it, and it names one that the issuer does not publish, or none.</summary>
    UnknownKey,

    /// <summary>The key that it names has not signed it.</summary>
    BadSignature,

    /// <summary>Its <c>iss</c> is another one.</summary>
    WrongIssuer,

    /// <summary>Its <c>aud</c> does not hold ours.</summary>
    WrongAudience,

    /// <summary>Its <c>typ</c> says that it is something else than an access token.</summary>
    WrongType,

    /// <summary>Its header has <c>crit</c>: extensions that must be understood (RFC 7515, 4.1.11), of which there is none here.</summary>
    CriticalHeader,

    /// <summary>It has no <c>exp</c>.</summary>
    NoExpiry,

    /// <summary>Its <c>exp</c> has passed.</summary>
    Expired,

    /// <summary>Its <c>nbf</c> is ahead of the clock by more than the skew.</summary>
    NotYetValid,

    /// <summary>Its <c>iat</c> is ahead of the clock by more than the skew, or no number.</summary>
    BadIssuedAt,

    /// <summary>Its <c>sub</c> names no user: see <c>Jwt:Subjects</c>.</summary>
    BadSubject,

    /// <summary>It was revoked.</summary>
    Revoked,

    /// <summary>It is good, but not the user's whose connection it came on.</summary>
    AnotherUsers,

    /// <summary>What the library found beyond all that.</summary>
    Other,
}

/// <summary>The reasons as they stand in metrics.</summary>
internal static class RefusalReasonNames
{
    private static readonly string[] Names = [.. Enum.GetNames<RefusalReason>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];

    public static string Of(RefusalReason reason) => Names[(int)reason];
}

/// <summary>Why a token was refused, and whose it claims to be. Nothing of it but the reason is verified.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Issuer">Its <c>iss</c>, bounded and in printable ASCII; a dash if it has none.</param>
/// <param name="KeyId">Its <c>kid</c>, likewise.</param>
public sealed record TokenRefusal(RefusalReason Reason, string Issuer, string KeyId)
{
    private const int MaxShown = 64;
    private const string None = "-";

    internal static TokenRefusal Of(RefusalReason reason, JsonWebToken? token) => new(reason, Shown(token, read => read.Issuer), Shown(token, read => read.Kid));

    /// <summary>What clients are told.</summary>
    internal TokenFault Fault => Reason == RefusalReason.Expired ? TokenFault.TokenExpired : TokenFault.TokenInvalid;

    // Whoever made the token wrote this: it is told as data, and never breaks a line or fills a log.
    private static string Shown(JsonWebToken? token, Func<JsonWebToken, string?> field)
    {
        string? text = null;
        try
        {
            text = token is null ? null : field(token);
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or InvalidOperationException or JsonException or SecurityTokenException)
        {
            // A field of another type than the library expects.
        }

        return string.IsNullOrEmpty(text) ? None : string.Concat(text.Take(MaxShown).Select(unit => unit is > ' ' and <= '~' ? unit : '?'));
    }
}

/// <summary>A token breaks a rule of ours, beyond those of the library.</summary>
internal sealed class TokenRefusedException(RefusalReason reason, string message) : SecurityTokenValidationException(message)
{
    public RefusalReason Reason => reason;
}
