using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Chat.Storage;

/// <summary>
/// Ids made from what a document is about, so that its primary key alone keeps it from existing twice: a UUID of
/// version 8 (RFC 9562, 5.8) over the SHA-256 of its parts.
/// </summary>
internal static class DeterministicId
{
    /// <summary>The id for a kind of document and the things it is about, in this order.</summary>
    public static Guid Of(string kind, Guid first, Guid second, string text = "")
    {
        var kindLength = Encoding.UTF8.GetByteCount(kind);
        var textLength = Encoding.UTF8.GetByteCount(text);
        var parts = new byte[4 + kindLength + 32 + textLength];
        // The kind's length stands first, so that no two different lists of parts ever give the same bytes.
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

    /// <summary>The same, whichever of the two is named first.</summary>
    public static Guid OfPair(string kind, Guid one, Guid other) =>
        one.CompareTo(other) < 0 ? Of(kind, one, other) : Of(kind, other, one);
}
