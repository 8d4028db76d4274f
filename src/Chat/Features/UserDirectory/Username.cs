using System.Globalization;
using System.Text;
using Chat.Json;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// A valid username. The same rules apply to the claims of tokens, to lookups and to <c>/dev/token</c>. Spellings that differ in
/// case, width or normalization form are the same name; names that are confusable with another user's are rejected.
/// </summary>
/// <param name="Text">For display, in normalization form KC.</param>
/// <param name="Key">For lookup, case-folded.</param>
internal sealed record Username(string Text, string Key)
{
    /// <summary>In UTF-16 code units, for text and key: both must fit a database index.</summary>
    private const int MaxLength = 256;

    // UTS #39, 5.2, "moderately restrictive": Latin may be mixed with the scripts of Japanese, Chinese and Korean, and with
    // one other recommended script whose letters are not confusable with Latin ones.
    private static readonly string[] MixesWithLatin =
    [
        "Arab", "Armn", "Beng", "Bopo", "Deva", "Ethi", "Geor", "Gujr", "Guru", "Hang", "Hani", "Hebr", "Hira", "Kana", "Khmr", "Knda",
        "Laoo", "Mlym", "Mymr", "Orya", "Sinh", "Taml", "Telu", "Thaa", "Thai", "Tibt", "Jpan", "Kore", "Hanb",
    ];

    /// <summary>
    /// The ids of everything this name reserves: its key, and the skeletons of the text and of the key. Hashed to ids, because a
    /// skeleton may be long, and so that a primary key prevents duplicates.
    /// </summary>
    public IReadOnlyList<Guid> Forms => field ??= [.. new[]
    {
        FormOf("name", Key),
        FormOf("look", UnicodeText.Fold(UnicodeText.Skeleton(Text))),
        FormOf("look", UnicodeText.Fold(UnicodeText.Skeleton(Key))),
    }.Distinct()];

    /// <summary>Validates a name that a user may have.</summary>
    /// <returns>Null if it is invalid: see <see cref="KeyOf"/>; also if it mixes scripts in a way typical of spoofing.</returns>
    public static Username? Read(string? text) =>
        Normalize(text) is { } name && Folded(name) is { } key && !MixesScripts(name) && !BeginsWithMark(name)
            ? new Username(name, key) : null;

    /// <summary>Returns the lookup key of a name.</summary>
    /// <returns>Null if no user can have it: it is empty, too long or contains invisible characters.</returns>
    public static string? KeyOf(string? text) => Normalize(text) is { } name ? Folded(name) : null;

    private static string? Folded(string name) => UnicodeText.Fold(name) is { Length: > 0 and <= MaxLength } key ? key : null;

    private static string? Normalize(string? text)
    {
        if (text is null || text.Length > MaxLength * 2 || !WireText.IsClean(text))
            return null;
        var words = UnicodeText.Compose(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var name = string.Join(' ', words);
        return name.Length is > 0 and <= MaxLength
            && !name.EnumerateRunes().Any(scalar => UnicodeText.IsRefused(scalar) || Content.IsBlank(scalar) && scalar.Value != ' ')
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
        return !Common(others).Overlaps(MixesWithLatin);
    }

    // UTS #39, 5.1: Han characters belong to Japanese, Chinese and Korean text.
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

    private static HashSet<string> Common(IEnumerable<HashSet<string>> sets) => sets.Aggregate((all, next) => [.. all.Intersect(next)]);

    // It would combine with the text before the name.
    private static bool BeginsWithMark(string name) =>
        CharUnicodeInfo.GetUnicodeCategory(name, 0) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            or UnicodeCategory.EnclosingMark;

    private static Guid FormOf(string kind, string form) => Storage.DeterministicId.Of($"username {kind}", Guid.Empty, Guid.Empty, form);
}
