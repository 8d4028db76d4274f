using System.Reflection;
using System.Runtime.InteropServices;
using Chat.Hosting;
using Chat.Settings;

namespace Chat.Commands;

/// <summary>
/// What the program is asked to do. A word that is no command is refused, with the nearest one that is: a slip of the pen in
/// <c>db-apply</c> must not start a server.
/// </summary>
/// <param name="Name">The command; <see cref="Serve"/> without one.</param>
/// <param name="Operands">What stands behind it.</param>
/// <param name="Settings">The arguments that are settings, for the host.</param>
internal sealed record CommandArguments(string Name, string[] Operands, string[] Settings)
{
    public const string Serve = "", Help = "--help", Version = "--version", Check = "check", Health = "health", Token = "token",
        Apply = "db-apply", Assert = "db-assert", Patch = "db-patch", NewEpoch = "db-new-epoch";

    private static readonly Known[] Commands =
    [
        new(Check, "", 0, 0, "tests the settings, PostgreSQL, Redis, the issuer and the clock, and starts nothing"),
        new(Health, "[live|ready|URL]", 0, 1, "asks the server that runs here, or the one at URL, whether it is ready"),
        new(Token, "[TOKEN]", 0, 1, "tells whether a token is accepted, and if not, why; reads it from standard input by default"),
        new(Apply, "", 0, 0, "creates or updates the schema"),
        new(Assert, "", 0, 0, "tells whether the schema is the one of this version"),
        new(Patch, "FILE", 1, 1, "writes to FILE what db-apply would do, as SQL"),
        new(NewEpoch, "", 0, 0, "begins a new epoch, after a backup was restored"),
    ];

    /// <summary>Whether it is about the schema: nothing listens then, and statements take as long as they take.</summary>
    public bool IsForSchema => Name is Apply or Assert or Patch or NewEpoch;

    /// <summary>Whether it is there to be read by people, who want no log beside it.</summary>
    public bool IsSilent => Name is Check or Token;

    /// <summary>Takes arguments apart.</summary>
    /// <exception cref="StartupException">There is no such command, or it takes other operands.</exception>
    public static CommandArguments Parse(string[] args)
    {
        if (args.Any(arg => arg is Help or "-h" or "-?"))
            return new(Help, [], []);
        if (args.Contains(Version))
            return new(Version, [], []);
        var (words, settings) = (new List<string>(), new List<string>());
        for (var i = 0; i < args.Length; i++)
        {
            // As the framework reads them: --Name=value, --Name value, Name=value. A path is an operand, once there is a command.
            var isOption = args[i].StartsWith('-') || (args[i].StartsWith('/') && words.Count == 0);
            if (!isOption && (words.Count > 0 || !args[i].Contains('=', StringComparison.Ordinal)))
            {
                words.Add(args[i]);
                continue;
            }

            settings.Add(args[i]);
            if (isOption && !args[i].Contains('=', StringComparison.Ordinal) && i + 1 < args.Length)
                settings.Add(args[++i]);
        }

        if (words.Count == 0)
            return new(Serve, [], [.. settings]);
        var known = Array.Find(Commands, command => command.Name == words[0])
            ?? throw new StartupException($"'{words[0]}' is no command{(Nearest.Of(words[0], Commands.Select(command => command.Name)) is { } near ? $"; did you mean {near}?" : ".")} See --help.");
        if (words.Count - 1 < known.Least || words.Count - 1 > known.Most)
            throw new StartupException($"Usage: dotnet Chat.dll {known.Usage}. See --help.");
        return new(known.Name, [.. words.Skip(1)], [.. settings]);
    }

    /// <summary>What <c>--help</c> prints.</summary>
    public static string HelpText => $"""
        Chat, a self-hosted real-time chat server.

        Usage: dotnet Chat.dll [COMMAND] [--Section:Name=value ...]

        Without a command the server starts. Commands:
        {string.Join('\n', Commands.Select(command => $"  {command.Usage,-26}{command.Doc}"))}
          {Help,-26}shows this
          {Version,-26}shows the version

        Settings come from appsettings.json, from the environment (Section__Name=value), from the files of Secrets__Directory
        and from the command line; README.md lists them. What fails is one line on standard error, and the exit code is 1.
        """;

    /// <summary>What <c>--version</c> prints.</summary>
    public static string VersionText =>
        $"Chat {typeof(CommandArguments).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion} ({RuntimeInformation.FrameworkDescription})";

    private sealed record Known(string Name, string Operands, int Least, int Most, string Doc)
    {
        public string Usage => $"{Name} {Operands}".TrimEnd();
    }
}
