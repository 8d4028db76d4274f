namespace Chat.Json;

/// <summary>Text as allowed on the wire: Unicode scalar values except U+0000, which PostgreSQL's jsonb rejects.</summary>
internal static class WireText
{
    /// <summary>Whether the text contains neither a lone surrogate nor U+0000.</summary>
    public static bool IsClean(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\0')
                return false;
            if (!char.IsSurrogate(text[i]))
                continue;
            if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                return false;
            i++;
        }

        return true;
    }

    /// <summary>Returns the length as the protocol counts it, in Unicode scalar values.</summary>
    public static int Length(string text)
    {
        var length = 0;
        foreach (var unit in text)
            length += char.IsLowSurrogate(unit) ? 0 : 1;
        return length;
    }
}
