using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using System.Text.Json.Serialization;
using Chat.Telemetry;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>The closed set of token errors reported to clients. On the wire in upper snake case.</summary>
[JsonConverter(typeof(TokenFaultConverter))]
public enum TokenFault
{
    /// <summary>The token was valid and has expired.</summary>
    TokenExpired,

    /// <summary>Bad signature, wrong issuer or audience, missing or invalid <c>sub</c>, or no token at all.</summary>
    TokenInvalid,
}

/// <summary>Validates tokens, for the socket and REST alike, so that the two cannot diverge.</summary>
internal sealed class TokenValidator
{
    private static readonly TokenReadResult Undecided = new(null, default, default, null);

    // RFC 9068, 2.1, and RFC 7519, 5.1; with the prefix that issuers may omit by RFC 7515, 4.1.9. The types of ID tokens and
    // logout tokens are not among them.
    private static readonly string[] Types = ["JWT", "at+jwt"];
    private const string TypePrefix = "application/";

    private readonly JsonWebTokenHandler handler = new() { MapInboundClaims = false };
    private readonly TokenValidationParameters rules;
    private readonly IssuerKeys keys;
    private readonly SubjectMapper subjects;
    private readonly ITokenRevocations revocations;
    private readonly IssuerClock clock;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;

    public TokenValidator(IOptions<JwtSettings> settings, IssuerKeys keys, SubjectMapper subjects, ITokenRevocations revocations,
        IssuerClock clock, ServerMetrics metrics, TimeProvider time)
    {
        this.keys = keys;
        this.subjects = subjects;
        this.revocations = revocations;
        this.clock = clock;
        this.metrics = metrics;
        this.time = time;
        rules = new TokenValidationParameters
        {
            ValidIssuer = settings.Value.Issuer,
            ValidAudience = settings.Value.Audience,
            IssuerSigningKeyResolver = (_, _, keyId, _) => keys.For(keyId),
            // Pinned by the kind of key: a public key must never be accepted as an HMAC secret.
            ValidAlgorithms = keys.AreSymmetric
                ? [SecurityAlgorithms.HmacSha256]
                : [SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.EcdsaSha256],
            ClockSkew = JwtSettings.ClockSkew,
            // The default validator reads the machine's clock; this one uses TimeProvider.
            LifetimeValidator = (notBefore, expires, token, _) => CheckTimes(notBefore, expires, (JsonWebToken)token),
            TypeValidator = (type, token, _) => CheckHeader(type, (JsonWebToken)token),
            IncludeTokenOnFailedValidation = true,
        };
    }

    /// <summary>Validates a token. Never throws: an unreadable one is <see cref="TokenFault.TokenInvalid"/>.</summary>
    public async ValueTask<TokenReadResult> ValidateAsync(string token)
    {
        if (!await keys.FetchAsync())
            return Undecided;
        var result = await handler.ValidateTokenAsync(token, rules);
        if (LacksKey(result))
        {
            // The issuer may have rotated its keys. Do not refuse the token before the issuer has confirmed that the key is unknown.
            if (!await keys.RefreshAsync())
                return Undecided;
            result = await handler.ValidateTokenAsync(token, rules);
        }

        if (!result.IsValid)
            return Refused(ReasonOf(result), result.TokenOnFailedValidation as JsonWebToken, result.Exception);
        var read = (JsonWebToken)result.SecurityToken;
        var claims = result.ClaimsIdentity;
        if (subjects.UserOf(new ClaimsPrincipal(claims)) is not { } userId)
            return Refused(RefusalReason.BadSubject, read,
                new TokenRefusedException(RefusalReason.BadSubject, "The sub claim is missing or invalid."));
        var issuedAt = IssuedAtOf(read) ?? default;
        if (revocations.IsRevoked(userId, issuedAt))
            return Refused(RefusalReason.Revoked, read, new TokenRefusedException(RefusalReason.Revoked, "The token was revoked."));

        if (issuedAt != default)
            clock.Observe(userId, issuedAt);
        claims.TryRemoveClaim(claims.FindFirst("sub"));
        claims.AddClaim(new Claim("sub", userId.ToString()));
        var principal = new ClaimsPrincipal(claims);
        return new TokenReadResult(Identity.From(userId, principal, issuedAt), issuedAt, ExpiryOf(read), null)
        {
            ShownAt = time.GetUtcNow(),
            Principal = principal
        };
    }

    /// <summary>Whether a token has been revoked since it was accepted.</summary>
    public bool IsRevoked(TokenReadResult read) => revocations.IsRevoked(read);

    private TokenReadResult Refused(RefusalReason reason, JsonWebToken? token, Exception? failure)
    {
        var refusal = TokenRefusal.Of(reason, token);
        metrics.TokenRefused(RefusalReasonNames.Of(reason));
        return new TokenReadResult(null, default, default, refusal.Fault) { Refusal = refusal, Failure = failure };
    }

    private bool LacksKey(TokenValidationResult result) =>
        !result.IsValid && ReasonOf(result) == RefusalReason.UnknownKey && !keys.AreSymmetric;

    private RefusalReason ReasonOf(TokenValidationResult result) => result.Exception switch
    {
        TokenRefusedException failure => failure.Reason,
        SecurityTokenExpiredException => RefusalReason.Expired,
        SecurityTokenNotYetValidException => RefusalReason.NotYetValid,
        SecurityTokenNoExpirationException => RefusalReason.NoExpiry,
        SecurityTokenInvalidIssuerException => RefusalReason.WrongIssuer,
        SecurityTokenInvalidAudienceException => RefusalReason.WrongAudience,
        SecurityTokenInvalidTypeException => RefusalReason.WrongType,
        // The library tries every key and reports only that none matched.
        SecurityTokenInvalidAlgorithmException or SecurityTokenInvalidSignatureException or SecurityTokenSignatureKeyNotFoundException =>
            result.TokenOnFailedValidation switch
            {
                JsonWebToken token when !rules.ValidAlgorithms.Contains(token.Alg) => RefusalReason.WrongAlgorithm,
                JsonWebToken token when !keys.Has(token.Kid) => RefusalReason.UnknownKey,
                _ => RefusalReason.BadSignature,
            },
        ArgumentException or FormatException or JsonException => RefusalReason.Malformed,
        _ => RefusalReason.Other,
    };

    private bool CheckTimes(DateTime? notBefore, DateTime? expires, JsonWebToken token)
    {
        var (now, skew) = (time.GetUtcNow().UtcDateTime, JwtSettings.ClockSkew);
        if (expires is null)
            throw new SecurityTokenNoExpirationException("The token has no exp.");
        // The skew is applied to the current time: adding it to the token's times could overflow DateTime.
        if (expires <= now - skew)
            throw new SecurityTokenExpiredException("The token has expired.") { Expires = expires.Value };
        if (notBefore > now + skew)
            throw new SecurityTokenNotYetValidException("The token is not valid yet.") { NotBefore = notBefore.Value };
        // Revocations compare iat: a time in the future that no clock skew explains is refused.
        if (HasIssuedAt(token) && (IssuedAtOf(token) is not { } issuedAt || issuedAt > now + skew))
            throw new TokenRefusedException(RefusalReason.BadIssuedAt, "The token was issued in the future.");
        return true;
    }

    private static string CheckHeader(string? type, JsonWebToken token)
    {
        if (token.TryGetHeaderValue<object>("crit", out _))
            throw new TokenRefusedException(RefusalReason.CriticalHeader, "The token requires unsupported extensions.");
        if (!token.TryGetHeaderValue<object>("typ", out _))
            return "";
        var name = type?.StartsWith(TypePrefix, StringComparison.OrdinalIgnoreCase) == true ? type[TypePrefix.Length..] : type;
        return Types.Contains(name, StringComparer.OrdinalIgnoreCase)
            ? type!
            : throw new TokenRefusedException(RefusalReason.WrongType, "The token has the wrong type.");
    }

    private static bool HasIssuedAt(JsonWebToken token) => token.TryGetClaim("iat", out _);

    // Reads the claim, since the library treats a non-number as missing. In milliseconds, for issuers that use fractions.
    private static DateTimeOffset? IssuedAtOf(JsonWebToken token)
    {
        if (!token.TryGetClaim("iat", out var claim)
            || claim.ValueType is not (ClaimValueTypes.Integer or ClaimValueTypes.Integer32 or ClaimValueTypes.Integer64
                or ClaimValueTypes.Double)
            || !double.TryParse(claim.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
            return null;
        return seconds <= 0 ? DateTimeOffset.UnixEpoch
            : seconds >= DateTimeOffset.MaxValue.ToUnixTimeSeconds() ? DateTimeOffset.MaxValue
            : DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Floor(seconds * 1000));
    }

    // A token accepted within the clock skew has expired by our clock already; it gets the rest of the skew.
    private DateTimeOffset ExpiryOf(SecurityToken token)
    {
        var expiresAt = new DateTimeOffset(token.ValidTo, TimeSpan.Zero);
        return expiresAt > time.GetUtcNow() ? expiresAt : expiresAt + JwtSettings.ClockSkew;
    }
}

internal sealed class TokenFaultConverter() : JsonStringEnumConverter<TokenFault>(JsonNamingPolicy.SnakeCaseUpper);
