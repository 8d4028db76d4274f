using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Chat.Json;
using Microsoft.Extensions.Options;

namespace Chat.Tokens;

/// <summary>
/// Makes user ids of <c>sub</c> claims. A UUID is the id itself. Where <c>Jwt:Subjects</c> is <c>any</c>, other text gets a
/// name-based UUID (RFC 9562, 5.5, version 5) under a namespace of the installation's own. A UUID of version 5 counts as
/// text there, so that no subject can be chosen to name another one's user.
/// </summary>
internal sealed class SubjectMapper(IOptions<JwtSettings> settings)
{
    /// <summary>OpenID Connect Core, 2: a <c>sub</c> has at most 255 characters.</summary>
    private const int MaxLength = 255;

    /// <summary>A UUID as text. Parsing alone would also take one with blanks around it.</summary>
    private const int UuidLength = 36;

    private const int NameBased = 5;

    // RFC 9562, 6.6: the namespace of URLs.
    private static readonly Guid Urls = new("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
    private readonly Guid installation = Guid.TryParse(settings.Value.SubjectNamespace, out var own) ? own : NameIn(Urls, settings.Value.Issuer ?? "");

    /// <summary>The user that a token's claims name; null if they name none.</summary>
    public Guid? UserOf(ClaimsPrincipal principal)
    {
        // A list of subjects is several claims here, and a number is one of another type: neither is a name (RFC 7519, 4.1.2).
        return principal.FindAll("sub").ToArray() is [{ ValueType: ClaimValueTypes.String, Value: var subject }] ? UserOf(subject) : null;
    }

    private Guid? UserOf(string subject)
    {
        var isUuid = subject.Length == UuidLength && Guid.TryParseExact(subject, "D", out var id) && id != Guid.Empty;
        _ = Guid.TryParse(subject, out id);
        if (!settings.Value.TakesAnySubject)
            return isUuid ? id : null;
        if (isUuid && id.Version != NameBased)
            return id;
        return !string.IsNullOrWhiteSpace(subject) && subject.Length <= MaxLength && WireText.IsClean(subject) ? NameIn(installation, subject) : null;
    }

    /// <summary>The name-based UUID of a name in a namespace.</summary>
    internal static Guid NameIn(Guid space, string name)
    {
        var bytes = new byte[16 + Encoding.UTF8.GetByteCount(name)];
        space.TryWriteBytes(bytes, bigEndian: true, out _);
        Encoding.UTF8.GetBytes(name, bytes.AsSpan(16));
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
#pragma warning disable CA5350 // RFC 9562 wants SHA-1 for version 5. The namespace and the issuer's own subjects are no attacker's choice of collisions.
        SHA1.HashData(bytes, hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
