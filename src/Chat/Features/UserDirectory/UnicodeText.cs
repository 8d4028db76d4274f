using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Chat.Features;

/// <summary>
/// The Unicode algorithms for usernames: normalization (UAX #15), full case folding, skeletons (UTS #39) and scripts, from the
/// table beside this file. Not .NET's, because without ICU (<c>InvariantGlobalization</c>) it leaves non-ASCII text unchanged in
/// every normalization form, and because nodes with different ICU versions must not disagree.
/// </summary>
internal static class UnicodeText
{
    // Hangul syllables are composed arithmetically (The Unicode Standard, 3.12).
    private const int Syllables = 0xAC00, Leads = 0x1100, Vowels = 0x1161, Tails = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, SyllableCount = LeadCount * VowelCount * TailCount;

    private static readonly FrozenDictionary<string, string[]> Sections = Read();
    private static readonly FrozenDictionary<int, int[]> Decompositions = Mappings("decompose");
    private static readonly FrozenDictionary<int, int[]> Folds = Mappings("fold");
    private static readonly FrozenDictionary<int, int[]> Prototypes = Mappings("confusable");
    private static readonly FrozenDictionary<(int, int), int> Compositions =
        Mappings("compose").ToFrozenDictionary(pair => (pair.Value[0], pair.Value[1]), pair => pair.Key);

    private static readonly Range<int>[] Classes = Ranges("order", value => int.Parse(value, CultureInfo.InvariantCulture));
    private static readonly Range<bool>[] Refused = Ranges("refused", _ => true);
    private static readonly Range<string>[] ScriptSets = Ranges("script", value => value);

    /// <summary>Returns normalization form KC.</summary>
    public static string Compose(string text) => Ascii.IsValid(text) ? text : Text(Compose(Decompose(Scalars(text))));

    /// <summary>Returns the key for caseless comparison: NFKC of the full case folding.</summary>
    public static string Fold(string text) =>
        Ascii.IsValid(text) ? text.ToLowerInvariant() : Text(Compose(Fold(Compose(Fold(Decompose(Scalars(text)))))));

    /// <summary>
    /// Returns the skeleton of UTS #39, 4, which is equal for confusable strings. For comparison only, never for display.
    /// </summary>
    public static string Skeleton(string text) =>
        Text(Decompose(Decompose(Scalars(text)).SelectMany(scalar => Prototypes.GetValueOrDefault(scalar) ?? [scalar])));

    /// <summary>Returns whether a character is rejected: invisible, unassigned, or affecting the display of others.</summary>
    public static bool IsRefused(Rune scalar) => Find(Refused, scalar.Value) is not null;

    /// <summary>Returns the short names of the scripts that use a character; null if it is common to all.</summary>
    public static IReadOnlyCollection<string>? ScriptsOf(Rune scalar) => Find(ScriptSets, scalar.Value)?.Value.Split(' ');

    private static IEnumerable<int> Scalars(string text) => text.EnumerateRunes().Select(rune => rune.Value);

    private static string Text(IEnumerable<int> scalars) => string.Concat(scalars.Select(char.ConvertFromUtf32));

    private static IEnumerable<int> Fold(IEnumerable<int> scalars) =>
        scalars.SelectMany(scalar => Folds.GetValueOrDefault(scalar) ?? [scalar]);

    private static List<int> Decompose(IEnumerable<int> scalars)
    {
        var all = scalars.SelectMany(scalar => Decompositions.GetValueOrDefault(scalar) ?? Jamo(scalar)).ToList();
        // Canonical ordering: sort each run of combining marks by class. The sort must be stable.
        for (var start = 0; start < all.Count; start++)
        {
            var end = start;
            while (end < all.Count && ClassOf(all[end]) != 0)
                end++;
            if (end - start < 2)
                continue;
            var run = all.GetRange(start, end - start).OrderBy(ClassOf).ToArray();
            for (var i = 0; i < run.Length; i++)
                all[start + i] = run[i];
            start = end;
        }

        return all;
    }

    private static List<int> Compose(IEnumerable<int> scalars)
    {
        var decomposed = Decompose(scalars);
        var composed = new List<int>(decomposed.Count);
        var starter = -1;
        var lastClass = -1;
        foreach (var scalar in decomposed)
        {
            var combiningClass = ClassOf(scalar);
            // A character between a starter and what composes with it blocks the composition if it has the same class or none.
            if (starter >= 0 && lastClass < combiningClass | lastClass == -1 && Pair(composed[starter], scalar) is { } joined)
            {
                composed[starter] = joined;
                continue;
            }

            composed.Add(scalar);
            if (combiningClass == 0)
                (starter, lastClass) = (composed.Count - 1, -1);
            else
                lastClass = combiningClass;
        }

        return composed;
    }

    private static int? Pair(int first, int second)
    {
        if (first - Leads is >= 0 and < LeadCount && second - Vowels is >= 0 and < VowelCount)
            return Syllables + (((first - Leads) * VowelCount) + second - Vowels) * TailCount;
        if (first - Syllables is >= 0 and < SyllableCount && (first - Syllables) % TailCount == 0 && second - Tails is > 0 and < TailCount)
            return first + second - Tails;
        return Compositions.TryGetValue((first, second), out var joined) ? joined : null;
    }

    private static int[] Jamo(int scalar)
    {
        var index = scalar - Syllables;
        if (index is < 0 or >= SyllableCount)
            return [scalar];
        var (lead, vowel, tail) = (Leads + (index / (VowelCount * TailCount)), Vowels + (index % (VowelCount * TailCount) / TailCount),
            Tails + (index % TailCount));
        return tail == Tails ? [lead, vowel] : [lead, vowel, tail];
    }

    private static int ClassOf(int scalar) => Find(Classes, scalar)?.Value ?? 0;

    private static Range<T>? Find<T>(Range<T>[] ranges, int scalar)
    {
        var (low, high) = (0, ranges.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (scalar < ranges[middle].Start)
                high = middle - 1;
            else if (scalar > ranges[middle].End)
                low = middle + 1;
            else
                return ranges[middle];
        }

        return null;
    }

    private static FrozenDictionary<string, string[]> Read()
    {
        using var reader = new StreamReader(typeof(UnicodeText).Assembly.GetManifestResourceStream("Unicode.txt")!);
        var sections = new Dictionary<string, List<string>>();
        var section = new List<string>();
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('['))
                sections.Add(line[1..^1], section = []);
            else if (!line.StartsWith('#'))
                section.Add(line);
        }

        return sections.ToFrozenDictionary(read => read.Key, read => read.Value.ToArray());
    }

    private static FrozenDictionary<int, int[]> Mappings(string section) => Sections[section]
        .Select(line => line.Split('='))
        .ToFrozenDictionary(parts => Code(parts[0]), parts => parts[1].Split(' ').Select(code => Code(code)).ToArray());

    private static Range<T>[] Ranges<T>(string section, Func<string, T> value) => [.. Sections[section]
        .Select(line => line.Split('='))
        .Select(parts => (Ends: parts[0].Split(".."), Value: parts[^1]))
        .Select(range => new Range<T>(Code(range.Ends[0]), Code(range.Ends[^1]), value(range.Value)))];

    private static int Code(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private sealed record Range<T>(int Start, int End, T Value);
}
