using System.Globalization;
using System.Text.RegularExpressions;
using Chat.Hosting;
using MysticMind.PostgresEmbed;

namespace Chat.Embedded;

/// <summary>The programs of one PostgreSQL installation.</summary>
/// <param name="Folder">Where they are.</param>
/// <param name="Major">Their major version: data of one are closed to another.</param>
internal sealed partial record PostgresBinaries(string Folder, int Major)
{
    /// <summary>What is fetched when nothing is installed and no data ask for another version.</summary>
    private const int FetchedMajor = 17;

    private static readonly string[] Needed = ["initdb", "pg_ctl", "postgres"];

    public string InitDb => Program(Folder, "initdb");
    public string PgCtl => Program(Folder, "pg_ctl");
    public string Postgres => Program(Folder, "postgres");

    /// <summary>The installation on PATH, else in the usual folders (newest first), else a fetched one.</summary>
    /// <param name="account">Who must be able to run them.</param>
    /// <param name="dataMajor">The major version of the data at hand; null if there are none yet.</param>
    /// <param name="dataFolder">A folder that the account reaches, should the programs have to be fetched for it.</param>
    /// <param name="notice">Told about a download.</param>
    /// <param name="cancellation">Ends the search.</param>
    /// <exception cref="StartupException">There is none, or none for these data.</exception>
    public static async Task<PostgresBinaries> Find(
        ServiceAccount account, int? dataMajor, string dataFolder, Action<string> notice, CancellationToken cancellation)
    {
        PostgresBinaries? other = null;
        foreach (var folder in OnPath().Concat(InUsualFolders()).Distinct())
        {
            if (await Probe(folder, account, cancellation) is not { } found)
                continue;
            if (dataMajor is null || dataMajor == found.Major)
                return found;
            other ??= found;
        }

        if (other is not null)
            throw new StartupException($"The data in {dataFolder} were written by PostgreSQL {dataMajor}, and this machine has PostgreSQL {other.Major} ({other.Folder}). Install PostgreSQL {dataMajor}, or set Embedded__DataPath to another folder to start afresh.");
        return await Fetch(account, dataMajor ?? FetchedMajor, dataFolder, notice, cancellation);
    }

    private static IEnumerable<string> OnPath() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Program(folder, "pg_ctl"))
            .Where(File.Exists)
            // A link on PATH seldom comes with links to all the rest: what counts is the folder it leads to.
            .Select(file => Path.GetDirectoryName(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(file))!);

    private static IEnumerable<string> InUsualFolders() =>
        OperatingSystem.IsWindows()
            ? Versions(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "PostgreSQL"), "*")
            : [
                .. Versions("/usr/lib/postgresql", "*"),
                .. Versions("/usr", "pgsql-*"),
                "/usr/local/pgsql/bin",
                .. Versions("/opt/homebrew/opt", "postgresql*"),
                .. Versions("/usr/local/opt", "postgresql*"),
            ];

    private static IEnumerable<string> Versions(string folder, string pattern) =>
        !Directory.Exists(folder) ? [] : Directory.EnumerateDirectories(folder, pattern)
            .OrderByDescending(path => int.TryParse(Digits().Match(Path.GetFileName(path)).Value, CultureInfo.InvariantCulture, out var major) ? major : 0)
            .Select(path => Path.Combine(path, "bin"));

    /// <summary>Null if the folder lacks a program, or holds them where the account cannot run them.</summary>
    private static async Task<PostgresBinaries?> Probe(string folder, ServiceAccount account, CancellationToken cancellation)
    {
        if (!Needed.All(name => File.Exists(Program(folder, name))))
            return null;

        // The shell answers for a program that this account may not execute; started directly it would throw.
        var postgres = Program(folder, "postgres");
        var (_, version) = OperatingSystem.IsWindows()
            ? await account.Run(postgres, ["--version"], cancellation: cancellation)
            : await account.Run("/bin/sh", ["-c", "exec \"$0\" --version", postgres], cancellation: cancellation);
        return Version().Match(version) is { Success: true } match
            ? new PostgresBinaries(folder, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))
            : null;
    }

    private static async Task<PostgresBinaries> Fetch(
        ServiceAccount account, int major, string dataFolder, Action<string> notice, CancellationToken cancellation)
    {
        // One cache for all projects of a user; but root's own is closed to the account that has to run the programs.
        var cache = account.Name is null || PgCache.IsConfigured ? PgCache.DefaultDirectory : dataFolder;
        notice($"No PostgreSQL on this machine: fetching the programs of version {major} into {cache}, once.");
        try
        {
            await using var package = new PgServer(new PgServerOptions
            {
                PgVersion = major.ToString(CultureInfo.InvariantCulture),
                DbDir = cache,
                BinariesDir = Path.Combine(cache, "binaries"),
            });
            await package.InstallAsync(cancellation);
            return new PostgresBinaries(package.PgBinDir, major);
        }
        // Network, repository, archive, disk: whatever it was, the way out is the same.
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
        {
            throw new StartupException($"This machine has no PostgreSQL, and fetching it failed: {failure.Message} Install PostgreSQL {major}, or set ConnectionStrings__Postgres.", failure);
        }
    }

    private static string Program(string folder, string name) =>
        Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name);

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();

    [GeneratedRegex(@"\(PostgreSQL\) (\d+)")]
    private static partial Regex Version();
}
