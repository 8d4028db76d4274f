using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>PostgreSQL's data directory: created once, and checked before each start.</summary>
/// <param name="folder">A folder owned by <paramref name="account"/>.</param>
/// <param name="account">The account that runs PostgreSQL.</param>
internal sealed partial class PostgresCluster(string folder, ServiceAccount account)
{
    /// <summary>A process id beyond the range of any system.</summary>
    private const string NoProcess = "2147483646";

    public string Data { get; } = Path.Combine(folder, "data");
    public string Log { get; } = Path.Combine(folder, "log");

    /// <summary>
    /// Whether a password is required. Data of earlier versions trust everyone who reaches the port, any account of the machine, as
    /// superuser.
    /// </summary>
    public bool RequiresPassword => !Trust().IsMatch(File.ReadAllText(RulesIn(Data)));

    private string PidFile => Path.Combine(Data, "postmaster.pid");

    /// <summary>The major version of the PostgreSQL that wrote the data; null if there are none.</summary>
    public int? Major =>
        Path.Combine(Data, "PG_VERSION") is var file && File.Exists(file)
            ? int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture)
            : null;

    /// <summary>
    /// Creates the data directory, with the role and the database <c>chat</c>. It is renamed into place when complete, so that a
    /// process killed half way leaves nothing that looks like data.
    /// </summary>
    public async Task Create(PostgresBinaries binaries, string password, bool durable, CancellationToken cancellation)
    {
        foreach (var unfinished in Directory.EnumerateDirectories(folder, "new-*"))
            Directory.Delete(unfinished, recursive: true);

        var unfinishedData = Path.Combine(folder, $"new-{Guid.NewGuid():N}");
        // Byte order is portable and fastest; LC_CTYPE still provides upper and lower case.
        var letters = OperatingSystem.IsLinux() ? "C.UTF-8" : OperatingSystem.IsMacOS() ? "en_US.UTF-8" : "C";
        string[] durability = durable ? [] : ["--no-sync"];
        // Trust is safe here: no server is listening until the password is set.
        await Check(binaries.InitDb,
            [
                "-D", unfinishedData, "-U", EmbeddedPostgres.Name, "-A", "trust", "-E", "UTF8",
                "--locale=C", $"--lc-ctype={letters}", "--text-search-config=simple", .. durability,
            ],
            cancellation);
        await Execute(binaries, unfinishedData, durable, [$"create database {EmbeddedPostgres.Name}", SetPassword(password)], cancellation);
        RequirePassword(unfinishedData);
        Directory.Move(unfinishedData, Data);
    }

    /// <summary>Sets a password for existing data, and requires it from now on.</summary>
    public async Task Protect(PostgresBinaries binaries, string password, CancellationToken cancellation)
    {
        await Execute(binaries, Data, durable: true, [SetPassword(password)], cancellation);
        RequirePassword(Data);
    }

    /// <summary>
    /// Cleans up after a killed server: waits for a PostgreSQL that is still stopping, and neutralizes the pid file of one that is
    /// gone.
    /// </summary>
    public async Task FinishPrevious(PostgresBinaries binaries, CancellationToken cancellation)
    {
        if (!File.Exists(PidFile))
            return;

        var lines = File.ReadAllLines(PidFile);
        if (lines is [])
        {
            File.Delete(PidFile);
        }
        else if (int.TryParse(lines[0], CultureInfo.InvariantCulture, out var pid) && IsOurPostmaster(pid))
        {
            var (_, output) =
                await account.Run(binaries.PgCtl, ["stop", "-D", Data, "-m", "fast", "-s", "-t", "60"], cancellation: cancellation);
            if (File.Exists(PidFile))
                throw new StartupException($"A PostgreSQL of an earlier run still uses {Data} and does not stop: {LastLines(output)}");
        }
        else
        {
            // After a reboot another program may have that process id: PostgreSQL would take it for a running postmaster and
            // refuse to start. The file itself stays, because it also makes PostgreSQL look for running backends.
            lines[0] = NoProcess;
            File.WriteAllLines(PidFile, lines);
        }
    }

    /// <summary>Rotates the log; only the previous one is kept.</summary>
    public void RotateLog()
    {
        if (File.Exists(Log))
            File.Move(Log, Log + ".previous", overwrite: true);
    }

    public string ReadLog() => File.Exists(Log) ? File.ReadAllText(Log) : "";

    /// <summary>Returns the last lines of a text in one line: the cause is at the end.</summary>
    public static string LastLines(string text) =>
        string.Join(" / ", text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).TakeLast(5));

    private static string RulesIn(string data) => Path.Combine(data, "pg_hba.conf");

    private static void RequirePassword(string data) =>
        File.WriteAllText(RulesIn(data), Trust().Replace(File.ReadAllText(RulesIn(data)), "$1scram-sha-256"));

    // Hexadecimal, so there is nothing to quote.
    private static string SetPassword(string password) => $"alter role {EmbeddedPostgres.Name} password '{password}'";

    /// <summary>
    /// Executes statements in single-user mode: no port, and nothing to stop. A failed statement is never shown, since it may
    /// contain the password.
    /// </summary>
    private Task Execute(PostgresBinaries binaries, string data, bool durable, string[] statements, CancellationToken cancellation) =>
        Check(
        binaries.Postgres,
        [
            "--single", "-D", data, "-c", "exit_on_error=on", "-c", $"fsync={(durable ? "on" : "off")}", "-c",
                "password_encryption=scram-sha-256",
            "-c", "log_statement=none", "-c", "log_min_error_statement=panic", "postgres",
        ],
        cancellation,
        string.Concat(statements.Select(statement => $"{statement}\n")));

    private async Task Check(string program, string[] arguments, CancellationToken cancellation, string input = "")
    {
        var (exitCode, output) = await account.Run(program, arguments, input, cancellation);
        if (exitCode != 0)
            throw new StartupException($"PostgreSQL could not initialize its data folder {Data}: {LastLines(output)}");
    }

    private bool IsOurPostmaster(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return process.ProcessName == "postgres"
                && (!OperatingSystem.IsLinux() || File.ReadAllText($"/proc/{pid}/cmdline").Contains(Data, StringComparison.Ordinal));
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException or IOException)
        {
            return false;
        }
    }

    /// <summary>Matches a rule that trusts everyone: the method at the end of a line that is not a comment.</summary>
    [GeneratedRegex(@"^([^#\n]*\s)trust\b", RegexOptions.Multiline)]
    private static partial Regex Trust();
}
