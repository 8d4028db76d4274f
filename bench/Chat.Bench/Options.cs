using System.Globalization;

namespace Chat.Bench;

/// <summary>Something that keeps the bench from measuring, told in one line.</summary>
internal sealed class BenchException(string message) : Exception(message);

/// <summary>The command line: <c>--name value</c>, or <c>--name</c> alone.</summary>
internal sealed class Options
{
    private static readonly string[] Known =
    [
        "url", "key", "issuer", "audience", "dev", "server", "chat", "data", "nodes", "json", "postgres", "redis", "pids",
        "sockets", "window", "rate", "seconds", "warm-up", "bytes", "devices", "senders", "settle", "spread", "strangers", "restart",
        "messages", "conversations", "sizes", "runs", "rounds", "lists",
    ];

    private readonly Dictionary<string, string> given = [];

    public Options(IEnumerable<string> arguments)
    {
        string? name = null;
        foreach (var argument in arguments)
        {
            if (argument.StartsWith("--", StringComparison.Ordinal))
            {
                name = argument[2..];
                if (!Known.Contains(name))
                    throw new BenchException($"There is no option --{name}.");
                given[name] = "";
            }
            else if (name is not null)
            {
                given[name] = argument;
                name = null;
            }
            else
            {
                throw new BenchException($"What is {argument}?");
            }
        }
    }

    public IReadOnlyDictionary<string, string> Given => given;

    public bool Has(string name) => given.ContainsKey(name);

    public string? Text(string name) => given.GetValueOrDefault(name);

    public int Number(string name, int otherwise) => given.TryGetValue(name, out var text) ? Read(name, text) : otherwise;

    public IReadOnlyList<int> Numbers(string name, params IReadOnlyList<int> otherwise) =>
        given.TryGetValue(name, out var text) ? [.. text.Split(',').Select(part => Read(name, part))] : otherwise;

    public TimeSpan Seconds(string name, double otherwise) =>
        TimeSpan.FromSeconds(given.TryGetValue(name, out var text) ? double.Parse(text, CultureInfo.InvariantCulture) : otherwise);

    /// <summary>The same with other values.</summary>
    public Options With(params IEnumerable<(string Name, string Value)> others)
    {
        var changed = new Options([]);
        foreach (var (name, value) in given)
            changed.given[name] = value;
        foreach (var (name, value) in others)
            changed.given[name] = value;
        return changed;
    }

    // 10k and 1m, too, since sizes are what is counted here.
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
            : throw new BenchException($"--{name} takes a number, not {text}.");
    }
}
