using System.Globalization;

namespace Chat.Faults;

/// <summary>The command-line options.</summary>
internal sealed record Options
{
    public const string Usage = """
        dotnet run --project tests/Chat.Faults -c Release -- --short | --all | <name>… [options]

          --short          all experiments in small sizes: a few minutes
          --all            all experiments in full sizes
          <name>…          these only, in full sizes unless --short is given, too
          --list           what there is
          --at-once N      so many experiments side by side, each with servers of its own (default: 4 if short, else 1)
          --old COMMIT     where "upgrade" begins: a commit or a tag of this repository (default: the last version)
          --seed N         the random numbers; printed with every run
          --json FILE      the results as JSON
          --logs FOLDER    keeps the servers' logs there if something fails
          --ports N        the first of the ports that are used (default: any below 30000)
        """;

    public bool IsShort { get; init; }

    public bool IsList { get; init; }

    public int Seed { get; init; } = Random.Shared.Next(1, 1_000_000);

    /// <summary>Experiments run in parallel: the short ones mostly wait, for leases and timeouts.</summary>
    public int AtOnce { get => field > 0 ? field : IsShort ? 4 : 1; init; }

    /// <summary>The git revision that an upgrade starts from.</summary>
    public string Old { get; init; } = Upgrades.LastVersion;

    public string? JsonFile { get; init; }

    public string? LogFolder { get; init; }

    /// <summary>Random: a port that is free now may be taken later, and another run may be in progress.</summary>
    public int FirstPort { get; init; } = Random.Shared.Next(20_000, 30_000);

    public IReadOnlyList<Experiment> Chosen { get; init; } = [];

    /// <summary>Parses the arguments; null if they are invalid.</summary>
    public static Options? Read(string[] args)
    {
        var options = new Options();
        var names = new List<string>();
        var isAll = false;
        for (var i = 0; i < args.Length; i++)
        {
            string? Value() => ++i < args.Length ? args[i] : null;
            int? Number() => int.TryParse(Value(), CultureInfo.InvariantCulture, out var number) ? number : null;
            switch (args[i])
            {
                case "--short":
                    options = options with { IsShort = true };
                    break;
                case "--all":
                    isAll = true;
                    break;
                case "--list":
                    options = options with { IsList = true };
                    break;
                case "--old" when Value() is { } commit:
                    options = options with { Old = commit };
                    break;
                case "--seed" when Number() is { } seed:
                    options = options with { Seed = seed };
                    break;
                case "--at-once" when Number() is { } atOnce:
                    options = options with { AtOnce = atOnce };
                    break;
                case "--ports" when Number() is { } port:
                    options = options with { FirstPort = port };
                    break;
                case "--json" when Value() is { } file:
                    options = options with { JsonFile = Path.GetFullPath(file) };
                    break;
                case "--logs" when Value() is { } folder:
                    options = options with { LogFolder = Path.GetFullPath(folder) };
                    break;
                case var name when Experiments.All.Any(experiment => experiment.Name == name):
                    names.Add(name);
                    break;
                default:
                    return null;
            }
        }

        options = options with { Chosen = [.. Experiments.All.Where(experiment => names.Count == 0 || names.Contains(experiment.Name))] };
        return options.IsList || options.IsShort || isAll || names.Count > 0 ? options : null;
    }
}
