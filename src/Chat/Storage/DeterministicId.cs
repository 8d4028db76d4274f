using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Chat.Storage;

/// <summary>
/// Derives a document's id from its natural key, so that the primary key alone prevents duplicates: a UUID of version 8
/// (RFC 9562, 5.8) over the SHA-256 of its parts.
/// </summary>
internal static class DeterministicId
{
    /// <summary>Returns the id for a kind of document and its key; the order of the parts matters.</summary>
    public static Guid Of(string kind, Guid first, Guid second, string text = "")
    {
        var kindLength = Encoding.UTF8.GetByteCount(kind);
        var textLength = Encoding.UTF8.GetByteCount(text);
        var parts = new byte[4 + kindLength + 32 + textLength];
        // Prefixed with the kind's length, so that no two lists of parts encode to the same bytes.
        BinaryPrimitives.WriteInt32BigEndian(parts, kindLength);
        Encoding.UTF8.GetBytes(kind, parts.AsSpan(4));
        first.TryWriteBytes(parts.AsSpan(4 + kindLength), bigEndian: true, out _);
        second.TryWriteBytes(parts.AsSpan(20 + kindLength), bigEndian: true, out _);
        Encoding.UTF8.GetBytes(text, parts.AsSpan(36 + kindLength));

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(parts, hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    /// <summary>Returns the same id whichever of the two comes first.</summary>
    public static Guid OfPair(string kind, Guid one, Guid other) =>
        one.CompareTo(other) < 0 ? Of(kind, one, other) : Of(kind, other, one);
}
