using System.Globalization;
using System.Text;
using Chat.Json;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// A username as the directory keeps it. One rule for all who name people: the claim of a token, a look-up and
/// <c>/dev/token</c>. The same name in other letters, of another case, width or normalization form, is the same; a name that
/// looks like another one's is not given.
/// </summary>
/// <param name="Text">In normalization form KC, as others see it.</param>
/// <param name="Key">Without regard to case: by this people are found.</param>
internal sealed record Username(string Text, string Key)
{
    /// <summary>In UTF-16 code units, of the text and of the key: both must fit into an index of the database.</summary>
    private const int MaxLength = 256;

    // UTS #39, 5.2, "moderately restrictive": Latin goes together with the scripts of Japanese, Chinese and Korean, and
    // with one other in common use, of those whose letters do not look like Latin ones.
    private static readonly string[] Beside =
    [
        "Arab", "Armn", "Beng", "Bopo", "Deva", "Ethi", "Geor", "Gujr", "Guru", "Hang", "Hani", "Hebr", "Hira", "Kana", "Khmr", "Knda",
        "Laoo", "Mlym", "Mymr", "Orya", "Sinh", "Taml", "Telu", "Thaa", "Thai", "Tibt", "Jpan", "Kore", "Hanb",
    ];

    /// <summary>
    /// Ids of all that this name reserves: itself, and what looks like it, as it is written and in lower case. Ids,
    /// because a skeleton may be long, and so that a primary key keeps each from being given twice.
    /// </summary>
    public IReadOnlyList<Guid> Forms => field ??= [.. new[]
    {
        FormOf("name", Key),
        FormOf("look", UnicodeText.Fold(UnicodeText.Skeleton(Text))),
        FormOf("look", UnicodeText.Fold(UnicodeText.Skeleton(Key))),
    }.Distinct()];

    /// <summary>Reads a name that somebody is to have.</summary>
    /// <returns>Null if it cannot be one: see <see cref="KeyOf"/>, or because it mixes scripts as only a forgery does.</returns>
    public static Username? Read(string? text) =>
        Normalize(text) is { } name && Folded(name) is { } key && !MixesScripts(name) && !BeginsWithMark(name) ? new Username(name, key) : null;

    /// <summary>What a name is looked up by.</summary>
    /// <returns>Null if nobody can have it: it is empty, too long, or has a character that cannot be seen.</returns>
    public static string? KeyOf(string? text) => Normalize(text) is { } name ? Folded(name) : null;

    private static string? Folded(string name) => UnicodeText.Fold(name) is { Length: > 0 and <= MaxLength } key ? key : null;

    private static string? Normalize(string? text)
    {
        if (text is null || text.Length > MaxLength * 2 || !WireText.IsClean(text))
            return null;
        var words = UnicodeText.Compose(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var name = string.Join(' ', words);
        return name.Length is > 0 and <= MaxLength && !name.EnumerateRunes().Any(scalar => UnicodeText.IsRefused(scalar) || Content.IsBlank(scalar) && scalar.Value != ' ')
            ? name
            : null;
    }

    private static bool MixesScripts(string name)
    {
        if (Ascii.IsValid(name))
            return false;
        var sets = name.EnumerateRunes().Select(UnicodeText.ScriptsOf).OfType<IReadOnlyCollection<string>>().Select(Augment).ToArray();
        if (sets.Length == 0 || Common(sets).Count > 0)
            return false;
        var others = Array.FindAll(sets, set => !set.Contains("Latn"));
        return !Common(others).Overlaps(Beside);
    }

    // UTS #39, 5.1: a character of Han is one of Japanese, Chinese and Korean text.
    private static HashSet<string> Augment(IReadOnlyCollection<string> scripts)
    {
        var all = scripts.ToHashSet();
        if (all.Contains("Hani"))
            all.UnionWith(["Hanb", "Jpan", "Kore"]);
        if (all.Contains("Hira") || all.Contains("Kana"))
            all.Add("Jpan");
        if (all.Contains("Hang"))
            all.Add("Kore");
        if (all.Contains("Bopo"))
            all.Add("Hanb");
        return all;
    }

    private static HashSet<string> Common(IEnumerable<HashSet<string>> sets) => sets.Aggregate((one, other) => [.. one.Intersect(other)]);

    // It would stand over whatever is written before the name.
    private static bool BeginsWithMark(string name) =>
        CharUnicodeInfo.GetUnicodeCategory(name, 0) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private static Guid FormOf(string kind, string form) => Storage.DeterministicId.Of($"username {kind}", Guid.Empty, Guid.Empty, form);
}
