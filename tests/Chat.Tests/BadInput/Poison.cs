using System.Text;

namespace Chat.Tests.BadInput;

/// <summary>Why a value is invalid, which determines the answer.</summary>
internal enum Harm
{
    /// <summary>The frame is not text.</summary>
    NotUtf8,

    /// <summary>The frame exceeds the size limit.</summary>
    TooBig,

    /// <summary>Nested too deeply.</summary>
    TooDeep,

    /// <summary>A string that JSON cannot represent: a lone surrogate.</summary>
    NoText,

    /// <summary>JSON, but not a string.</summary>
    WrongType,

    /// <summary>An integer instead of a string.</summary>
    Number,

    /// <summary>A string that contains U+0000.</summary>
    Nul,

    /// <summary>A string that is too long for every field.</summary>
    Long,

    /// <summary>A blank string.</summary>
    Blank,

    /// <summary>An unusual but valid string.</summary>
    Strange,

    /// <summary>The field is null or absent.</summary>
    Absent,

    /// <summary>The field is duplicated.</summary>
    Twice,
}

/// <summary>An invalid value, as the raw bytes of a JSON value.</summary>
internal sealed record Poison(string Name, Harm Harm, byte[]? Value)
{
    public static readonly string BidiText = "\u202Etxet\u202C";

    public static readonly string MarkedText = "e" + new string('\u0301', 3_000);

    /// <summary>All of them, by name.</summary>
    public static IReadOnlyDictionary<string, Poison> All { get; } = new Poison[]
    {
        new("raw 0xFF", Harm.NotUtf8, [(byte)'"', 0xFF, (byte)'"']),
        new("overlong slash", Harm.NotUtf8, [(byte)'"', 0xC0, 0xAF, (byte)'"']),
        new("overlong U+0000", Harm.NotUtf8, [(byte)'"', 0xC0, 0x80, (byte)'"']),
        new("a surrogate in UTF-8", Harm.NotUtf8, [(byte)'"', 0xED, 0xA0, 0x80, (byte)'"']),
        new("64 k combining marks", Harm.TooBig, Json("\"e" + new string('\u0301', 65_536) + "\"")),
        new("10,000 arrays deep", Harm.TooDeep, Json(new string('[', 10_000) + new string(']', 10_000))),
        new("10,000 arrays deep, never closed", Harm.TooDeep, Json(new string('[', 10_000))),
        new("5,000 objects deep", Harm.TooDeep, Json(string.Concat(Enumerable.Repeat("{\"a\":", 5_000)) + "1" + new string('}', 5_000))),
        new("a lone high surrogate", Harm.NoText, Json("\"\\ud800\"")),
        new("a lone low surrogate", Harm.NoText, Json("\"x\\udc00x\"")),
        new("surrogates the wrong way round", Harm.NoText, Json("\"\\ude00\\ud83d\"")),
        new("true", Harm.WrongType, Json("true")),
        new("a list", Harm.WrongType, Json("[\"a\"]")),
        new("an object", Harm.WrongType, Json("{\"a\":\"b\"}")),
        new("an object with a name twice", Harm.WrongType, Json("{\"a\":1,\"a\":2}")),
        new("an object with a lone surrogate for a name", Harm.WrongType, Json("{\"\\ud800\":1}")),
        new("a fraction", Harm.WrongType, Json("1.5")),
        new("zero", Harm.Number, Json("0")),
        new("minus one", Harm.Number, Json("-1")),
        new("2^63 - 1", Harm.Number, Json("9223372036854775807")),
        new("2^63", Harm.WrongType, Json("9223372036854775808")),
        new("1e400", Harm.WrongType, Json("1e400")),
        new("a number of 1,000 digits", Harm.WrongType, Json(new string('9', 1_000))),
        new("U+0000", Harm.Nul, Json("\"a\\u0000b\"")),
        new("U+0000 alone", Harm.Nul, Json("\"\\u0000\"")),
        new("30,000 combining marks", Harm.Long, Json("\"e" + new string('\u0301', 30_000) + "\"")),
        new("60,000 letters", Harm.Long, Json("\"" + new string('x', 60_000) + "\"")),
        new("empty", Harm.Blank, Json("\"\"")),
        new("blanks of many kinds", Harm.Blank, Json("\" \\t\\r\\n\u00A0\u2003\u3000\"")),
        new("U+202E", Harm.Strange, Json($"\"{BidiText}\"")),
        new("noncharacters", Harm.Strange, Json("\"\uFFFE\uFFFF\U0010FFFF\"")),
        new("SQL", Harm.Strange, Json("\"'; drop table mt_doc_message; --\"")),
        new("a script", Harm.Strange, Json("\"<script>alert(1)</script>\"")),
        new("null", Harm.Absent, Json("null")),
        new("missing", Harm.Absent, null),
        new("twice", Harm.Twice, Json("\"a\"")),
    }.ToDictionary(poison => poison.Name);

    /// <summary>Builds a JSON object of raw field values, one of which is replaced.</summary>
    public byte[] In(IEnumerable<KeyValuePair<string, string>> fields, string field)
    {
        var parts = fields.Where(other => other.Key != field)
            .Select(other => (byte[])[.. Json($"\"{other.Key}\":"), .. Json(other.Value)])
            .ToList();
        byte[] poisoned = [.. Json($"\"{field}\":"), .. Value ?? []];
        if (Value is not null)
            parts.Add(poisoned);
        if (Harm == Harm.Twice)
            parts.Add(poisoned);
        return [(byte)'{', .. parts.SelectMany((part, i) => i == 0 ? part : [(byte)',', .. part]), (byte)'}'];
    }

    public static byte[] Json(string text) => Encoding.UTF8.GetBytes(text);
}
