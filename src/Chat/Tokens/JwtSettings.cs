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

    /// <summary>The shared secret before the present one: accepted as well, while a new one is rolled out.</summary>
    public string? PreviousKey { get; set; }

    /// <summary>The <c>iss</c> that a token must carry.</summary>
    public string? Issuer { get; set; }

    /// <summary>The <c>aud</c> that a token must carry.</summary>
    public string? Audience { get; set; }

    /// <summary>Which <c>sub</c> claims are accepted: <c>uuid</c>, the default, or <c>any</c>; see <see cref="Tokens.SubjectMapper"/>.</summary>
    public string? Subjects { get; set; }

    /// <summary>The namespace of name-based user ids, a UUID; without one it is made from <see cref="Issuer"/>.</summary>
    public string? SubjectNamespace { get; set; }

    internal bool TakesAnySubject => string.Equals(Subjects, "any", StringComparison.OrdinalIgnoreCase);

    internal SymmetricSecurityKey SigningKey => KeyOf(Key!);

    /// <summary>The shared keys, the present one first; empty where an authority publishes its own.</summary>
    internal IReadOnlyList<SecurityKey> SharedKeys => [.. new[] { Key, PreviousKey }.Where(key => !string.IsNullOrEmpty(key)).Select(key => KeyOf(key!))];

    /// <summary>What is missing or weak, a line each; empty if the server may start.</summary>
    /// <param name="isDevelopment">Whether an issuer may be reached without encryption, wherever it is.</param>
    public IEnumerable<string> Validate(bool isDevelopment)
    {
        if (string.IsNullOrWhiteSpace(Authority) && string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority or Jwt__Key is missing: one of them says whose tokens to accept.";
        if (!string.IsNullOrWhiteSpace(Authority) && !string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority and Jwt__Key are both set: give one of them.";
        if (!string.IsNullOrWhiteSpace(Authority) && !IsTrustworthy(Authority, isDevelopment))
            yield return "Jwt__Authority must be an https address (http only on the loopback): whoever can change the keys on their way signs for everybody.";
        if (!string.IsNullOrEmpty(PreviousKey) && string.IsNullOrEmpty(Key))
            yield return "Jwt__PreviousKey is set without Jwt__Key: it is the one before it.";
        if (!string.IsNullOrEmpty(PreviousKey) && PreviousKey == Key)
            yield return "Jwt__PreviousKey is the same as Jwt__Key: leave it out once the new key is everywhere.";
        foreach (var fault in ValidateKey("Jwt__Key", Key).Concat(ValidateKey("Jwt__PreviousKey", PreviousKey)))
            yield return fault;
        if (string.IsNullOrWhiteSpace(Issuer))
            yield return "Jwt__Issuer is missing.";
        if (string.IsNullOrWhiteSpace(Audience))
            yield return "Jwt__Audience is missing.";
        if (!string.IsNullOrWhiteSpace(SubjectNamespace) && !TakesAnySubject)
            yield return "Jwt__SubjectNamespace is for Jwt__Subjects=any.";
    }

    /// <summary>Whether keys that come from an address are the issuer's: nobody on the way can have changed them.</summary>
    internal static bool IsTrustworthy(string address, bool isDevelopment) =>
        Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && (uri.IsLoopback || isDevelopment)));

    private static SymmetricSecurityKey KeyOf(string secret) => new(Encoding.UTF8.GetBytes(secret));

    private static IEnumerable<string> ValidateKey(string setting, string? key)
    {
        if (string.IsNullOrEmpty(key))
            yield break;
        if (Encoding.UTF8.GetByteCount(key) < MinKeyBytes)
            yield return $"{setting} is too short: it needs at least {MinKeyBytes} bytes.";
        if (key.Distinct().Count() < 8)
            yield return $"{setting} is too weak: it repeats a few characters.";
    }
}
