using System.Globalization;

namespace Chat.Bench;

/// <summary>Thrown when a run cannot be carried out; the message is printed as one line.</summary>
internal sealed class BenchException(string message) : Exception(message);

/// <summary>The command line: <c>--name value</c>, or <c>--name</c> alone.</summary>
internal sealed class Options
{
    private static readonly string[] Known =
    [
        "url", "key", "issuer", "audience", "dev", "server", "chat", "data", "nodes", "json", "postgres", "redis", "pids",
        "sockets", "window", "rate", "seconds", "warm-up", "bytes", "devices", "senders", "settle", "spread", "strangers", "restart",
        "messages", "conversations", "sizes", "runs", "rounds", "lists", "people", "connected",
    ];

    private readonly Dictionary<string, string> values = [];

    public Options(IEnumerable<string> arguments)
    {
        string? name = null;
        foreach (var argument in arguments)
        {
            if (argument.StartsWith("--", StringComparison.Ordinal))
            {
                name = argument[2..];
                if (!Known.Contains(name))
                    throw new BenchException($"Unknown option --{name}.");
                values[name] = "";
            }
            else if (name is not null)
            {
                values[name] = argument;
                name = null;
            }
            else
            {
                throw new BenchException($"Unexpected argument {argument}.");
            }
        }
    }

    public IReadOnlyDictionary<string, string> Values => values;

    public bool Has(string name) => values.ContainsKey(name);

    public string? Text(string name) => values.GetValueOrDefault(name);

    public int Number(string name, int defaultValue) => values.TryGetValue(name, out var text) ? Read(name, text) : defaultValue;

    public IReadOnlyList<int> Numbers(string name, params IReadOnlyList<int> defaultValue) =>
        values.TryGetValue(name, out var text) ? [.. text.Split(',').Select(part => Read(name, part))] : defaultValue;

    public TimeSpan Seconds(string name, double defaultValue) =>
        TimeSpan.FromSeconds(values.TryGetValue(name, out var text) ? double.Parse(text, CultureInfo.InvariantCulture) : defaultValue);

    /// <summary>Returns a copy with some values replaced.</summary>
    public Options With(params IEnumerable<(string Name, string Value)> replacements)
    {
        var changed = new Options([]);
        foreach (var (name, value) in values)
            changed.values[name] = value;
        foreach (var (name, value) in replacements)
            changed.values[name] = value;
        return changed;
    }

    // Accepts the suffixes k and m.
    private static int Read(string name, string text)
    {
        var (digits, factor) = text.ToLowerInvariant() switch
        {
            [.. var thousands, 'k'] => (thousands, 1000),
            [.. var millions, 'm'] => (millions, 1_000_000),
            var plain => (plain, 1),
        };
        return int.TryParse(digits, CultureInfo.InvariantCulture, out var number)
            ? number * factor
            : throw new BenchException($"--{name} must be a number, not {text}.");
    }
}
