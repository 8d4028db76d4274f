using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Chat.Json;
using Microsoft.Extensions.Options;

namespace Chat.Tokens;

/// <summary>
/// Maps <c>sub</c> claims to user ids. A UUID is the id itself. If <c>Jwt:Subjects</c> is <c>any</c>, other text is mapped to
/// a name-based UUID (RFC 9562, 5.5, version 5) in the installation's own namespace. A UUID of version 5 counts as text
/// there, so that no subject can be chosen to impersonate another user.
/// </summary>
internal sealed class SubjectMapper(IOptions<JwtSettings> settings)
{
    /// <summary>OpenID Connect Core, 2: a <c>sub</c> has at most 255 characters.</summary>
    private const int MaxLength = 255;

    /// <summary>The length of a UUID as text. Parsing alone would also accept surrounding blanks.</summary>
    private const int UuidLength = 36;

    private const int NameBased = 5;

    // RFC 9562, 6.6: the namespace of URLs.
    private static readonly Guid Urls = new("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
    private readonly Guid installation = Guid.TryParse(settings.Value.SubjectNamespace, out var space)
        ? space : NameIn(Urls, settings.Value.Issuer ?? "");

    /// <summary>Returns the user named by a token's claims; null if there is none.</summary>
    public Guid? UserOf(ClaimsPrincipal principal)
    {
        // A list of subjects becomes several claims, a number a claim of another type: neither is valid (RFC 7519, 4.1.2).
        return principal.FindAll("sub").ToArray() is [{ ValueType: ClaimValueTypes.String, Value: var subject }] ? UserOf(subject) : null;
    }

    private Guid? UserOf(string subject)
    {
        var isUuid = subject.Length == UuidLength && Guid.TryParseExact(subject, "D", out var id) && id != Guid.Empty;
        _ = Guid.TryParse(subject, out id);
        if (!settings.Value.AcceptsAnySubject)
            return isUuid ? id : null;
        if (isUuid && id.Version != NameBased)
            return id;
        return !string.IsNullOrWhiteSpace(subject) && subject.Length <= MaxLength && WireText.IsClean(subject)
            ? NameIn(installation, subject) : null;
    }

    /// <summary>Returns the name-based UUID of a name in a namespace.</summary>
    internal static Guid NameIn(Guid space, string name)
    {
        var bytes = new byte[16 + Encoding.UTF8.GetByteCount(name)];
        space.TryWriteBytes(bytes, bigEndian: true, out _);
        Encoding.UTF8.GetBytes(name, bytes.AsSpan(16));
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
#pragma warning disable CA5350 // RFC 9562 requires SHA-1 for version 5; neither namespace nor subjects are attacker-controlled.
        SHA1.HashData(bytes, hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
