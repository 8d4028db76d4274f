using System.Text;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>
/// How tokens are validated; configuration section <c>Jwt</c>. Either an authority, whose published keys are used, or a
/// key shared with the issuer. Outside Development one of them, the issuer and the audience are required.
/// </summary>
public sealed class JwtSettings
{
    /// <summary>HMAC-SHA256 requires a key at least as long as its hash (RFC 7518, 3.2).</summary>
    public const int MinKeyBytes = 32;

    /// <summary>The allowed difference between the issuer's clock and ours.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    /// <summary>The issuer's address, whose OpenID Connect metadata lead to the keys.</summary>
    public string? Authority { get; set; }

    /// <summary>The shared secret, as text; its UTF-8 bytes are the HMAC key.</summary>
    public string? Key { get; set; }

    /// <summary>The previous shared secret, still accepted while a new one is rolled out.</summary>
    public string? PreviousKey { get; set; }

    /// <summary>The required <c>iss</c>.</summary>
    public string? Issuer { get; set; }

    /// <summary>The required <c>aud</c>.</summary>
    public string? Audience { get; set; }

    /// <summary>
    /// Which <c>sub</c> claims are accepted: <c>uuid</c>, the default, or <c>any</c>; see <see cref="Tokens.SubjectMapper"/>.
    /// </summary>
    public string? Subjects { get; set; }

    /// <summary>The namespace of name-based user ids, a UUID; by default derived from <see cref="Issuer"/>.</summary>
    public string? SubjectNamespace { get; set; }

    internal bool AcceptsAnySubject => string.Equals(Subjects, "any", StringComparison.OrdinalIgnoreCase);

    internal SymmetricSecurityKey SigningKey => KeyOf(Key!);

    /// <summary>The shared keys, the current one first; empty if an authority publishes its own.</summary>
    internal IReadOnlyList<SecurityKey> SharedKeys =>
        [.. new[] { Key, PreviousKey }.Where(key => !string.IsNullOrEmpty(key)).Select(key => KeyOf(key!))];

    /// <summary>Returns the missing or weak settings, one line each; empty if valid.</summary>
    /// <param name="isDevelopment">Whether an issuer may be reached without encryption at any address.</param>
    public IEnumerable<string> Validate(bool isDevelopment)
    {
        if (string.IsNullOrWhiteSpace(Authority) && string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority or Jwt__Key is required.";
        if (!string.IsNullOrWhiteSpace(Authority) && !string.IsNullOrEmpty(Key))
            yield return "Jwt__Authority and Jwt__Key are both set; set only one.";
        if (!string.IsNullOrWhiteSpace(Authority) && !IsTrustworthy(Authority, isDevelopment))
            yield return "Jwt__Authority must be an https address (http only on loopback); otherwise the keys could be replaced in transit.";
        if (!string.IsNullOrEmpty(PreviousKey) && string.IsNullOrEmpty(Key))
            yield return "Jwt__PreviousKey requires Jwt__Key.";
        if (!string.IsNullOrEmpty(PreviousKey) && PreviousKey == Key)
            yield return "Jwt__PreviousKey equals Jwt__Key; remove it once the new key is rolled out.";
        foreach (var fault in ValidateKey("Jwt__Key", Key).Concat(ValidateKey("Jwt__PreviousKey", PreviousKey)))
            yield return fault;
        if (string.IsNullOrWhiteSpace(Issuer))
            yield return "Jwt__Issuer is required.";
        if (string.IsNullOrWhiteSpace(Audience))
            yield return "Jwt__Audience is required.";
        if (!string.IsNullOrWhiteSpace(SubjectNamespace) && !AcceptsAnySubject)
            yield return "Jwt__SubjectNamespace requires Jwt__Subjects=any.";
    }

    /// <summary>Whether keys fetched from an address cannot have been tampered with in transit.</summary>
    internal static bool IsTrustworthy(string address, bool isDevelopment) =>
        Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && (uri.IsLoopback || isDevelopment)));

    private static SymmetricSecurityKey KeyOf(string secret) => new(Encoding.UTF8.GetBytes(secret));

    private static IEnumerable<string> ValidateKey(string setting, string? key)
    {
        if (string.IsNullOrEmpty(key))
            yield break;
        if (Encoding.UTF8.GetByteCount(key) < MinKeyBytes)
            yield return $"{setting} is too short; at least {MinKeyBytes} bytes are required.";
        if (key.Distinct().Count() < 8)
            yield return $"{setting} is too weak; it repeats a few characters.";
    }
}
