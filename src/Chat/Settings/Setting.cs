using System.Globalization;

namespace Chat.Settings;

/// <summary>
/// One setting of the server: what it is called, what holds without it, and what it may be. The catalog of all of them
/// (<see cref="SettingsCatalog"/>) is what a start is checked against and what README's table is written from.
/// </summary>
/// <param name="Name">The name in configuration, with <c>:</c> between section and key.</param>
/// <param name="Default">The default as README shows it.</param>
/// <param name="Doc">What it does, as README says it.</param>
internal sealed record Setting(string Name, string Default, string Doc)
{
    /// <summary>Whether the value must never be shown.</summary>
    public bool IsSecret { get; init; }

    /// <summary>What is wrong with a value, as the end of a sentence that begins with the name; null if it may be used.</summary>
    public Func<string, string?> Validate { get; init; } = _ => null;

    /// <summary>The bounds as README shows them; empty without any.</summary>
    public string Range { get; init; } = "";

    /// <summary>The section of the name.</summary>
    public string Section => Name.Split(':')[0];

    /// <summary>The row of README's table.</summary>
    public string Row => $"| `{Name}` |{Cell(Default)}|{Cell($"{Doc}{(Range.Length > 0 ? $" ({Range})" : "")}")}|";

    /// <summary>Free text, or text with a check of its own.</summary>
    public static Setting Text(string name, string byDefault, string doc, Func<string, string?>? faultOf = null) =>
        new(name, byDefault, doc) { Validate = faultOf ?? (_ => null) };

    /// <summary>Free text that must never be shown.</summary>
    public static Setting Secret(string name, string byDefault, string doc, Func<string, string?>? faultOf = null) =>
        Text(name, byDefault, doc, faultOf) with { IsSecret = true };

    /// <summary>A whole number within bounds.</summary>
    public static Setting Number(string name, int byDefault, int min, int max, string doc) => new(name, $"`{Invariant($"{byDefault}")}`", doc)
    {
        Range = Invariant($"{min} to {max}"),
        Validate = text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? null
            : Invariant($"is not a whole number from {min} to {max}."),
    };

    /// <summary>A number with a fraction within bounds.</summary>
    public static Setting Fraction(string name, double byDefault, double min, double max, string doc) => new(name, $"`{Invariant($"{byDefault}")}`", doc)
    {
        Range = Invariant($"{min} to {max}"),
        Validate = text => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? null
            : Invariant($"is not a number from {min} to {max}."),
    };

    /// <summary>A time within bounds. A number alone would be days, and is therefore out of them.</summary>
    public static Setting Time(string name, TimeSpan byDefault, TimeSpan min, TimeSpan max, string doc) => new(name, $"`{byDefault:c}`", doc)
    {
        Range = $"{Show(min)} to {Show(max)}",
        Validate = text => TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) && time >= min && time <= max
            ? null
            : $"is not a time from {Show(min)} to {Show(max)}: write hours:minutes:seconds.",
    };

    /// <summary>One of a few words; case does not matter.</summary>
    public static Setting Choice(string name, string byDefault, string[] choices, string doc) => new(name, $"`{byDefault}`", doc)
    {
        Range = string.Join(" or ", choices.Select(choice => $"`{choice}`")),
        Validate = text => choices.Contains(text, StringComparer.OrdinalIgnoreCase) ? null : $"is not one of {string.Join(", ", choices)}.",
    };

    private static string Cell(string text) => text.Length == 0 ? " " : $" {text.Trim()} ";

    private static string Show(TimeSpan time) => time.Milliseconds == 0 ? $"{time:c}" : $@"{time:hh\:mm\:ss\.f}";

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
