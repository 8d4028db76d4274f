namespace Chat.Settings;

/// <summary>Suggests the known name that a misspelled one most likely means.</summary>
internal static class Nearest
{
    /// <summary>Returns the name with the smallest Levenshtein distance; null if none is similar.</summary>
    public static string? Of(string text, IEnumerable<string> names)
    {
        var name = names.MinBy(name => DistanceOf(text, name));
        return name is not null && DistanceOf(text, name) <= Math.Max(2, text.Length / 4) ? name : null;
    }

    /// <summary>Returns the Levenshtein distance: insertions, deletions and substitutions, ignoring case.</summary>
    public static int DistanceOf(string text, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= text.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
            {
                var replaced = diagonal + (char.ToUpperInvariant(text[i - 1]) == char.ToUpperInvariant(other[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[other.Length];
    }
}
