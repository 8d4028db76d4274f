using System.Reflection;
using System.Runtime.InteropServices;
using Chat.Hosting;
using Chat.Settings;

namespace Chat.Commands;

/// <summary>
/// The parsed command line. An unknown command is rejected, with the nearest known one as a suggestion: a typo in <c>db-apply</c>
/// must not start a server.
/// </summary>
/// <param name="Name">The command; <see cref="Serve"/> if none was given.</param>
/// <param name="Operands">The command's operands.</param>
/// <param name="Settings">The arguments that are settings, for the host.</param>
internal sealed record CommandArguments(string Name, string[] Operands, string[] Settings)
{
    public const string Serve = "", Help = "--help", Version = "--version", Check = "check", Health = "health", Token = "token",
        Apply = "db-apply", Assert = "db-assert", Patch = "db-patch", NewEpoch = "db-new-epoch";

    private static readonly Known[] Commands =
    [
        new(Check, "", 0, 0, "tests settings, PostgreSQL, Redis, issuer and clock without starting the server"),
        new(Health, "[live|ready|URL]", 0, 1, "queries the health of the server on this machine, or at URL"),
        new(Token, "[TOKEN]", 0, 1, "explains why a token is accepted or refused; reads it from standard input by default"),
        new(Apply, "", 0, 0, "creates or updates the schema"),
        new(Assert, "", 0, 0, "checks whether the schema is the one of this version"),
        new(Patch, "FILE", 1, 1, "writes the SQL that db-apply would execute to FILE"),
        new(NewEpoch, "", 0, 0, "starts a new epoch, after a backup was restored"),
    ];

    /// <summary>Whether the command is about the schema: it does not listen, and its statements have no timeout.</summary>
    public bool IsForSchema => Name is Apply or Assert or Patch or NewEpoch;

    /// <summary>Whether the command's output is for people, without log lines in between.</summary>
    public bool IsSilent => Name is Check or Token;

    /// <summary>Parses the arguments.</summary>
    /// <exception cref="StartupException">The command is unknown, or the number of operands is wrong.</exception>
    public static CommandArguments Parse(string[] args)
    {
        if (args.Any(arg => arg is Help or "-h" or "-?"))
            return new(Help, [], []);
        if (args.Contains(Version))
            return new(Version, [], []);
        var (words, settings) = (new List<string>(), new List<string>());
        for (var i = 0; i < args.Length; i++)
        {
            // Settings as the framework accepts them: --Name=value, --Name value, Name=value. After a command, a path is an operand.
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
            ?? throw new StartupException($"Unknown command '{words[0]}'{Suggestion(words[0])} See --help.");
        if (words.Count - 1 < known.MinOperands || words.Count - 1 > known.MaxOperands)
            throw new StartupException($"Usage: dotnet Chat.dll {known.Usage}. See --help.");
        return new(known.Name, [.. words.Skip(1)], [.. settings]);
    }

    /// <summary>The output of <c>--help</c>.</summary>
    public static string HelpText => $"""
        Chat, a self-hosted real-time chat server.

        Usage: dotnet Chat.dll [COMMAND] [--Section:Name=value ...]

        Without a command it starts the server. Commands:
        {string.Join('\n', Commands.Select(command => $"  {command.Usage,-26}{command.Doc}"))}
          {Help,-26}prints this help
          {Version,-26}prints the version

        Settings come from appsettings.json, from the environment (Section__Name=value), from the files of Secrets__Directory
        and from the command line; README.md lists them. A failure prints one line on standard error, and the exit code is 1.
        """;

    /// <summary>The output of <c>--version</c>.</summary>
    public static string VersionText =>
        $"Chat {typeof(CommandArguments).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion} ({RuntimeInformation.FrameworkDescription})";

    private static string Suggestion(string word) =>
        Nearest.Of(word, Commands.Select(command => command.Name)) is { } nearest ? $"; did you mean {nearest}?" : ".";

    private sealed record Known(string Name, string Operands, int MinOperands, int MaxOperands, string Doc)
    {
        public string Usage => $"{Name} {Operands}".TrimEnd();
    }
}
