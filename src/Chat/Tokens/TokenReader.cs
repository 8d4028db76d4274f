using System.Security.Claims;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>The closed list of why a token is refused. On the wire in upper snake case.</summary>
[JsonConverter(typeof(TokenFaultConverter))]
public enum TokenFault
{
    /// <summary>It was good once.</summary>
    TokenExpired,

    /// <summary>Bad signature, wrong issuer or audience, no <c>sub</c> or one that is no UUID, or no token at all.</summary>
    TokenInvalid,
}

/// <summary>What a token says, if it is one of ours.</summary>
/// <param name="Identity">Null if the token is refused.</param>
/// <param name="IssuedAt">Since when it speaks for its user; the beginning of time if it does not say.</param>
/// <param name="ExpiresAt">Until when it speaks for its user.</param>
/// <param name="Fault">Why it is refused; null beside a missing identity if nobody can tell yet, for want of the issuer's keys.</param>
public sealed record TokenReading(Identity? Identity, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, TokenFault? Fault);

/// <summary>
/// Checks a token that came over the socket, by the very rules that the bearer scheme applies to REST, so that the
/// two cannot come apart.
/// </summary>
internal sealed class TokenReader(IOptionsMonitor<JwtBearerOptions> bearer, IssuerKeys keys, TimeProvider time)
{
    private static readonly TokenReading Invalid = new(null, default, default, TokenFault.TokenInvalid);
    private static readonly TokenReading Undecided = new(null, default, default, null);
    private static readonly TokenReading Expired = new(null, default, default, TokenFault.TokenExpired);
    private readonly JsonWebTokenHandler handler = new() { MapInboundClaims = false };

    /// <summary>Checks a token. Never throws: what cannot be read is <see cref="TokenFault.TokenInvalid"/>.</summary>
    public async ValueTask<TokenReading> ReadAsync(string token)
    {
        if (!await keys.AskAsync())
            return Undecided;
        var options = bearer.Get(JwtBearerDefaults.AuthenticationScheme);
        var rules = options.TokenValidationParameters.Clone();
        rules.ConfigurationManager = options.ConfigurationManager as BaseConfigurationManager;

        var result = await handler.ValidateTokenAsync(token, rules);
        if (!result.IsValid)
            return result.Exception is SecurityTokenExpiredException ? Expired : Invalid;
        return Identity.From(new ClaimsPrincipal(result.ClaimsIdentity)) is { } identity
            ? new TokenReading(identity, IssueOf((JsonWebToken)result.SecurityToken), EndOf(result.SecurityToken), null)
            : Invalid;
    }

    /// <summary>When a token was issued; without iat, the beginning of time.</summary>
    internal static DateTimeOffset IssueOf(JsonWebToken token) => new(DateTime.SpecifyKind(token.IssuedAt, DateTimeKind.Utc));

    // A token accepted within the clock skew has already run out by our clock; it gets the rest of the skew.
    private DateTimeOffset EndOf(SecurityToken token)
    {
        var end = new DateTimeOffset(token.ValidTo, TimeSpan.Zero);
        return end > time.GetUtcNow() ? end : end + JwtSettings.ClockSkew;
    }
}

internal sealed class TokenFaultConverter() : JsonStringEnumConverter<TokenFault>(JsonNamingPolicy.SnakeCaseUpper);
