using System.Text;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>
/// How tokens are checked; configuration section <c>Jwt</c>. Either an authority, whose published keys are used, or
/// a key shared with the issuer. Outside Development one of them, the issuer and the audience must be given.
/// </summary>
public sealed class JwtSettings
{
    /// <summary>HMAC-SHA256 wants a key at least as long as its hash (RFC 7518, 3.2).</summary>
    public const int MinKeyBytes = 32;

    /// <summary>How far an issuer's clock may be off.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    /// <summary>The issuer's address; its OpenID Connect metadata name the keys.</summary>
    public string? Authority { get; set; }

    /// <summary>The shared secret, as text; its UTF-8 bytes are the HMAC key.</summary>
    public string? Key { get; set; }

    /// <summary>The <c>iss</c> that a token must carry.</summary>
    public string? Issuer { get; set; }

    /// <summary>The <c>aud</c> that a token must carry.</summary>
    public string? Audience { get; set; }

    internal SymmetricSecurityKey SigningKey => new(Encoding.UTF8.GetBytes(Key!));

    /// <summary>What is missing or weak, a line each; empty if the server may start.</summary>
    /// <param name="isDevelopment">Whether an issuer may be reached without encryption, wherever it is.</param>
    public IEnumerable<string> Faults(bool isDevelopment)
    {
        if (string.IsNullOrWhiteSpace(Authority) && string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority or Jwt__Key is missing: one of them says whose tokens to accept.";
        if (!string.IsNullOrWhiteSpace(Authority) && !string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority and Jwt__Key are both set: give one of them.";
        if (!string.IsNullOrWhiteSpace(Authority) && !IsTrustworthy(Authority, isDevelopment))
            yield return "Jwt__Authority must be an https address (http only on the loopback): whoever can change the keys on their way signs for everybody.";
        if (!string.IsNullOrEmpty(Key) && Encoding.UTF8.GetByteCount(Key) < MinKeyBytes)
            yield return $"Jwt__Key is too short: it needs at least {MinKeyBytes} bytes.";
        if (!string.IsNullOrEmpty(Key) && Key.Distinct().Count() < 8)
            yield return "Jwt__Key is too weak: it repeats a few characters.";
        if (string.IsNullOrWhiteSpace(Issuer))
            yield return "Jwt__Issuer is missing.";
        if (string.IsNullOrWhiteSpace(Audience))
            yield return "Jwt__Audience is missing.";
    }

    private static bool IsTrustworthy(string authority, bool isDevelopment) =>
        Uri.TryCreate(authority, UriKind.Absolute, out var address)
        && (address.Scheme == Uri.UriSchemeHttps || (address.Scheme == Uri.UriSchemeHttp && (address.IsLoopback || isDevelopment)));
}
