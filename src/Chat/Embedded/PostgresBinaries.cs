using System.Globalization;
using System.Text.RegularExpressions;
using Chat.Hosting;
using MysticMind.PostgresEmbed;

namespace Chat.Embedded;

/// <summary>The programs of a PostgreSQL installation.</summary>
/// <param name="Folder">Their folder.</param>
/// <param name="Major">Their major version; data of one are not readable by another.</param>
internal sealed partial record PostgresBinaries(string Folder, int Major)
{
    /// <summary>The version to download if none is installed and there are no data yet.</summary>
    private const int DownloadedMajor = 17;

    private static readonly string[] Needed = ["initdb", "pg_ctl", "postgres"];

    public string InitDb => Program(Folder, "initdb");
    public string PgCtl => Program(Folder, "pg_ctl");
    public string Postgres => Program(Folder, "postgres");

    /// <summary>Finds the installation on PATH, else in the usual folders (newest first), else downloads one.</summary>
    /// <param name="account">The account that must be able to run them.</param>
    /// <param name="dataMajor">The major version of the existing data; null if there are none.</param>
    /// <param name="dataFolder">A folder accessible to the account, for a download.</param>
    /// <param name="notice">Notified of a download.</param>
    /// <param name="cancellation">Cancels the search.</param>
    /// <exception cref="StartupException">No installation was found, or none for these data.</exception>
    public static async Task<PostgresBinaries> Find(
        ServiceAccount account, int? dataMajor, string dataFolder, Action<string> notice, CancellationToken cancellation)
    {
        PostgresBinaries? other = null;
        foreach (var folder in FoldersOnPath().Concat(UsualFolders()).Distinct())
        {
            if (await Probe(folder, account, cancellation) is not { } found)
                continue;
            if (dataMajor is null || dataMajor == found.Major)
                return found;
            other ??= found;
        }

        if (other is not null)
            throw new StartupException(
                $"The data in {dataFolder} were written by PostgreSQL {dataMajor}, and this machine has PostgreSQL {other.Major} ({other.Folder}). " +
                $"Install PostgreSQL {dataMajor}, or set Embedded__DataPath to another folder to start with new data.");
        return await Download(account, dataMajor ?? DownloadedMajor, dataFolder, notice, cancellation);
    }

    private static IEnumerable<string> FoldersOnPath() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Program(folder, "pg_ctl"))
            .Where(File.Exists)
            // A link on PATH rarely comes with links to the other programs: use the folder that it points to.
            .Select(
                file => Path.GetDirectoryName(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(file))!);

    private static IEnumerable<string> UsualFolders() =>
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
            .OrderByDescending(
                path => int.TryParse(Digits().Match(Path.GetFileName(path)).Value, CultureInfo.InvariantCulture, out var major) ? major : 0)
            .Select(path => Path.Combine(path, "bin"));

    /// <summary>Returns the installation in a folder; null if a program is missing, or not executable by the account.</summary>
    private static async Task<PostgresBinaries?> Probe(string folder, ServiceAccount account, CancellationToken cancellation)
    {
        if (!Needed.All(name => File.Exists(Program(folder, name))))
            return null;

        // Through the shell, because starting a program that the account may not execute would throw.
        var postgres = Program(folder, "postgres");
        var (_, version) = OperatingSystem.IsWindows()
            ? await account.Run(postgres, ["--version"], cancellation: cancellation)
            : await account.Run("/bin/sh", ["-c", "exec \"$0\" --version", postgres], cancellation: cancellation);
        return Version().Match(version) is { Success: true } match
            ? new PostgresBinaries(folder, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))
            : null;
    }

    private static async Task<PostgresBinaries> Download(
        ServiceAccount account, int major, string dataFolder, Action<string> notice, CancellationToken cancellation)
    {
        // One cache for all projects of a user; but root's own is not accessible to the account that runs the programs.
        var cache = account.Name is null || PgCache.IsConfigured ? PgCache.DefaultDirectory : dataFolder;
        notice($"No PostgreSQL found; downloading version {major} to {cache}.");
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
        // Network, repository, archive, disk: whatever the cause, the remedy is the same.
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
        {
            throw new StartupException(
                $"No PostgreSQL was found, and the download failed: {failure.Message} Install PostgreSQL {major}, or set ConnectionStrings__Postgres.",
                failure);
        }
    }

    private static string Program(string folder, string name) =>
        Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name);

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();

    [GeneratedRegex(@"\(PostgreSQL\) (\d+)")]
    private static partial Regex Version();
}
