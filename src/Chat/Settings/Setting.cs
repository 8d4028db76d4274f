using System.Globalization;

namespace Chat.Settings;

/// <summary>
/// One setting of the server: its name, default, documentation and validation. The catalog of all settings
/// (<see cref="SettingsCatalog"/>) drives the validation at startup and the table in README.
/// </summary>
/// <param name="Name">The name in configuration, with <c>:</c> between section and key.</param>
/// <param name="Default">The default as shown in README.</param>
/// <param name="Doc">The description in README.</param>
internal sealed record Setting(string Name, string Default, string Doc)
{
    /// <summary>Whether the value must never be shown.</summary>
    public bool IsSecret { get; init; }

    /// <summary>Returns what is wrong with a value, as a predicate to the setting's name; null if it is valid.</summary>
    public Func<string, string?> Validate { get; init; } = _ => null;

    /// <summary>The valid range as shown in README; empty if there is none.</summary>
    public string Range { get; init; } = "";

    /// <summary>The first part of the name.</summary>
    public string Section => Name.Split(':')[0];

    /// <summary>The row in README's table.</summary>
    public string Row => $"| `{Name}` |{Cell(Default)}|{Cell($"{Doc}{(Range.Length > 0 ? $" ({Range})" : "")}")}|";

    /// <summary>Creates a text setting, with its own validation if given.</summary>
    public static Setting Text(string name, string byDefault, string doc, Func<string, string?>? validate = null) =>
        new(name, byDefault, doc) { Validate = validate ?? (_ => null) };

    /// <summary>Creates a text setting that must never be shown.</summary>
    public static Setting Secret(string name, string byDefault, string doc, Func<string, string?>? validate = null) =>
        Text(name, byDefault, doc, validate) with { IsSecret = true };

    /// <summary>Creates a whole number within a range.</summary>
    public static Setting Number(string name, int byDefault, int min, int max, string doc) =>
        new(name, $"`{Invariant($"{byDefault}")}`", doc)
        {
            Range = Invariant($"{min} to {max}"),
            Validate = text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                && number >= min && number <= max
                ? null
                : Invariant($"is not a whole number from {min} to {max}."),
        };

    /// <summary>Creates a decimal number within a range.</summary>
    public static Setting Fraction(string name, double byDefault, double min, double max, string doc) =>
        new(name, $"`{Invariant($"{byDefault}")}`", doc)
        {
            Range = Invariant($"{min} to {max}"),
            Validate = text => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
                && number >= min && number <= max
                ? null
                : Invariant($"is not a number from {min} to {max}."),
        };

    /// <summary>Creates a duration within a range. A bare number would mean days, and is out of every range.</summary>
    public static Setting Time(string name, TimeSpan byDefault, TimeSpan min, TimeSpan max, string doc) =>
        new(name, $"`{byDefault:c}`", doc)
        {
            Range = $"{Show(min)} to {Show(max)}",
            Validate = text => TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) && time >= min && time <= max
                ? null
                : $"is not a duration from {Show(min)} to {Show(max)}: write hours:minutes:seconds.",
        };

    /// <summary>Creates a choice of a few words, ignoring case.</summary>
    public static Setting Choice(string name, string byDefault, string[] choices, string doc) => new(name, $"`{byDefault}`", doc)
    {
        Range = string.Join(" or ", choices.Select(choice => $"`{choice}`")),
        Validate = text => choices.Contains(text, StringComparer.OrdinalIgnoreCase) ? null : $"is not one of {string.Join(", ", choices)}.",
    };

    private static string Cell(string text) => text.Length == 0 ? " " : $" {text.Trim()} ";

    private static string Show(TimeSpan time) => time.Milliseconds == 0 ? $"{time:c}" : $@"{time:hh\:mm\:ss\.f}";

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
