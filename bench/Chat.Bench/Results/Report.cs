using System.Text.Json;
using System.Text.Json.Serialization;

namespace Chat.Bench.Results;

/// <summary>One measured figure.</summary>
internal sealed record Figure(string Name, double Value, string Unit);

/// <summary>The result of a scenario on one server.</summary>
/// <param name="Title">The scenario, the server and the relevant options.</param>
internal sealed record Report(string Title)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public List<Figure> Figures { get; init; } = [];

    /// <summary>Correctness failures, which invalidate the figures.</summary>
    public List<string> Faults { get; init; } = [];

    public Report Add(string name, double value, string unit)
    {
        Figures.Add(new Figure(name, value, unit));
        return this;
    }

    public double this[string name] => Figures.Single(figure => figure.Name == name).Value;

    public void Print()
    {
        Console.WriteLine();
        Console.WriteLine(Title);
        foreach (var figure in Figures)
            Console.WriteLine($"  {figure.Name,-44} {Format(figure.Value),14} {figure.Unit}");
        foreach (var fault in Faults)
            Console.WriteLine($"  WRONG: {fault}");
    }

    /// <summary>Returns the medians over several rounds of a scenario.</summary>
    public static Report Medians(string title, IReadOnlyList<Report> rounds) => new(title)
    {
        Figures = [.. rounds[0].Figures.Select(figure => figure with { Value = Median(rounds.Select(round => round[figure.Name])) })],
        Faults = [.. rounds.SelectMany(round => round.Faults)],
    };

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    public static async Task WriteAsync(
        string path, Machine machine, IReadOnlyDictionary<string, string> options, IReadOnlyList<Report> reports)
    {
        await using var file = File.Create(path);
        await JsonSerializer.SerializeAsync(file, new { machine, options, reports }, Json);
    }

    private static string Format(double value) => Math.Abs(value) switch
    {
        >= 1000 => value.ToString("N0"),
        >= 10 => value.ToString("N1"),
        _ => value.ToString("0.###"),
    };
}
