using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace Chat.Json;

/// <summary>
/// Escapes only what JSON requires (RFC 8259, 7: quote, backslash, control characters), since frames, bodies and documents are
/// not HTML. .NET's most relaxed encoder still escapes everything beyond the Basic Multilingual Plane, so that an emoji
/// takes twelve bytes instead of four. Whole runs are searched and copied at a time.
/// </summary>
internal sealed class WireEncoder : JavaScriptEncoder
{
    private const int MaxEscape = 6;
    private const string Hex = "0123456789abcdef";
    private const string Escaped =
        "\0\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\v\f\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\"\\";
    private static readonly SearchValues<char> EscapedChars = SearchValues.Create(Escaped);
    private static readonly SearchValues<byte> EscapedBytes = SearchValues.Create(Encoding.ASCII.GetBytes(Escaped));

    private WireEncoder()
    {
    }

    /// <summary>The only instance: it has no state.</summary>
    public static WireEncoder Instance { get; } = new();

    public override int MaxOutputCharactersPerInputCharacter => MaxEscape;

    public override bool WillEncode(int unicodeScalar) => unicodeScalar < 0x80 && EscapedChars.Contains((char)unicodeScalar);

    public override int FindFirstCharacterToEncodeUtf8(ReadOnlySpan<byte> utf8Text)
    {
        var first = utf8Text.IndexOfAny(EscapedBytes);
        var plain = first < 0 ? utf8Text : utf8Text[..first];
        // Invalid UTF-8 is replaced, not passed on.
        return Utf8.IsValid(plain) ? first : FirstInvalid(plain);
    }

    public override unsafe int FindFirstCharacterToEncode(char* text, int textLength) =>
        FirstToEncode(new ReadOnlySpan<char>(text, textLength));

    public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        Span<char> escape = stackalloc char[MaxEscape];
        var length = WillEncode(unicodeScalar) ? Escape((char)unicodeScalar, escape) : new Rune(unicodeScalar).EncodeToUtf16(escape);
        numberOfCharactersWritten = 0;
        if (!escape[..length].TryCopyTo(new Span<char>(buffer, bufferLength)))
            return false;
        numberOfCharactersWritten = length;
        return true;
    }

    public override OperationStatus Encode(
        ReadOnlySpan<char> source, Span<char> destination, out int charsConsumed, out int charsWritten, bool isFinalBlock = true)
    {
        (charsConsumed, charsWritten) = (0, 0);
        Span<char> escape = stackalloc char[MaxEscape];
        while (true)
        {
            var rest = source[charsConsumed..];
            var first = FirstToEncode(rest);
            var run = first < 0 ? rest.Length : first;
            if (!rest[..run].TryCopyTo(destination[charsWritten..]))
                return OperationStatus.DestinationTooSmall;
            charsConsumed += run;
            charsWritten += run;
            if (first < 0)
                return OperationStatus.Done;
            // The first half of a surrogate pair whose second half is still to come.
            if (!isFinalBlock && run == rest.Length - 1 && char.IsHighSurrogate(rest[run]))
                return OperationStatus.NeedMoreData;
            var length = char.IsSurrogate(rest[run]) ? Rune.ReplacementChar.EncodeToUtf16(escape) : Escape(rest[run], escape);
            if (!escape[..length].TryCopyTo(destination[charsWritten..]))
                return OperationStatus.DestinationTooSmall;
            charsConsumed++;
            charsWritten += length;
        }
    }

    public override OperationStatus EncodeUtf8(
        ReadOnlySpan<byte> utf8Source, Span<byte> utf8Destination, out int bytesConsumed, out int bytesWritten, bool isFinalBlock = true)
    {
        (bytesConsumed, bytesWritten) = (0, 0);
        Span<char> escape = stackalloc char[MaxEscape];
        Span<byte> bytes = stackalloc byte[MaxEscape];
        while (true)
        {
            var rest = utf8Source[bytesConsumed..];
            var first = FindFirstCharacterToEncodeUtf8(rest);
            var run = first < 0 ? rest.Length : first;
            if (!rest[..run].TryCopyTo(utf8Destination[bytesWritten..]))
                return OperationStatus.DestinationTooSmall;
            bytesConsumed += run;
            bytesWritten += run;
            if (first < 0)
                return OperationStatus.Done;
            var status = Rune.DecodeFromUtf8(rest[run..], out var rune, out var consumed);
            if (status == OperationStatus.NeedMoreData && !isFinalBlock)
                return OperationStatus.NeedMoreData;
            // Rune yields U+FFFD for invalid UTF-8.
            var length = status == OperationStatus.Done
                ? Encoding.ASCII.GetBytes(escape[..Escape((char)rune.Value, escape)], bytes)
                : rune.EncodeToUtf8(bytes);
            if (!bytes[..length].TryCopyTo(utf8Destination[bytesWritten..]))
                return OperationStatus.DestinationTooSmall;
            bytesConsumed += consumed;
            bytesWritten += length;
        }
    }

    private static int FirstToEncode(ReadOnlySpan<char> text)
    {
        var first = text.IndexOfAny(EscapedChars);
        var plain = first < 0 ? text : text[..first];
        var surrogate = plain.IndexOfAnyInRange('\ud800', '\udfff');
        while (surrogate >= 0)
        {
            if (surrogate + 1 == plain.Length || !char.IsSurrogatePair(plain[surrogate], plain[surrogate + 1]))
                return surrogate;
            var next = plain[(surrogate + 2)..].IndexOfAnyInRange('\ud800', '\udfff');
            surrogate = next < 0 ? -1 : surrogate + 2 + next;
        }

        return first;
    }

    private static int FirstInvalid(ReadOnlySpan<byte> text)
    {
        var at = 0;
        while (Rune.DecodeFromUtf8(text[at..], out _, out var consumed) == OperationStatus.Done)
            at += consumed;
        return at;
    }

    private static int Escape(char character, Span<char> escape)
    {
        var letter = character switch
        {
            '"' or '\\' => character,
            '\b' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\f' => 'f',
            '\r' => 'r',
            _ => '\0',
        };
        escape[0] = '\\';
        if (letter != '\0')
        {
            escape[1] = letter;
            return 2;
        }

        "u00".CopyTo(escape[1..]);
        escape[4] = Hex[character >> 4];
        escape[5] = Hex[character & 0xF];
        return MaxEscape;
    }
}
