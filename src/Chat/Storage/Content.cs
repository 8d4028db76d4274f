using System.Globalization;
using System.Text;

namespace Chat.Storage;

/// <summary>
/// The rules for a message's content: visible text, without blank lines at its start and white space at its end; the first
/// line keeps its indentation.
/// </summary>
internal static class Content
{
    // Default_Ignorable_Code_Point (DerivedCoreProperties of the Unicode Character Database), except general category Cf. Its
    // unassigned ranges are reserved for it.
    private static readonly (int First, int Last)[] Ignorable =
    [
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
    ];

    // Characters with an empty glyph that no property lists: Braille blank, musical null notehead, Khitan filler.
    private static readonly int[] Empty = [0x2800, 0x1D159, 0x16FE4];

    /// <summary>Returns the content as it is stored.</summary>
    public static string Trim(string text)
    {
        var end = text.Length;
        while (end > 0 && char.IsWhiteSpace(text[end - 1]))
            end--;
        var start = 0;
        for (var i = 0; i < end && char.IsWhiteSpace(text[i]); i++)
        {
            if (EndsLine(text[i]))
                start = i + 1;
        }

        return text[start..end];
    }

    /// <summary>Whether a text contains any visible character.</summary>
    public static bool IsVisible(string text) => text.EnumerateRunes().Any(scalar => !IsBlank(scalar));

    /// <summary>Whether a character is invisible by itself: white space, controls, format characters and other ignorable ones.</summary>
    public static bool IsBlank(Rune scalar) =>
        Rune.GetUnicodeCategory(scalar) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.SpaceSeparator
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        || Array.Exists(Ignorable, range => scalar.Value >= range.First && scalar.Value <= range.Last)
        || Array.IndexOf(Empty, scalar.Value) >= 0;

    // The mandatory breaks of UAX #14: LF, VT, FF, CR, NEL, LS, PS.
    private static bool EndsLine(char unit) => unit is (>= '\n' and <= '\r') or '\u0085' or '\u2028' or '\u2029';
}
