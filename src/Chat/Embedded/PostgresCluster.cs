using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>PostgreSQL's files: made once, and put in order before each start.</summary>
/// <param name="folder">A folder that belongs to <paramref name="account"/>.</param>
/// <param name="account">Who runs PostgreSQL.</param>
internal sealed partial class PostgresCluster(string folder, ServiceAccount account)
{
    /// <summary>A number above what any system gives to a process.</summary>
    private const string NoProcess = "2147483646";

    public string Data { get; } = Path.Combine(folder, "data");
    public string Log { get; } = Path.Combine(folder, "log");

    /// <summary>
    /// Whether whoever comes has to show the password. Data of earlier versions let everybody in who reached the port: any account
    /// of the machine, as superuser.
    /// </summary>
    public bool WantsPassword => !Trust().IsMatch(File.ReadAllText(RulesIn(Data)));

    private string PidFile => Path.Combine(Data, "postmaster.pid");

    /// <summary>The major version of PostgreSQL that wrote the data; null if there are none yet.</summary>
    public int? Major =>
        Path.Combine(Data, "PG_VERSION") is var file && File.Exists(file)
            ? int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture)
            : null;

    /// <summary>
    /// Makes the files, with the role and the database <c>chat</c>. They get their name when they are complete, so that
    /// a process killed half way leaves nothing that looks like data.
    /// </summary>
    public async Task Create(PostgresBinaries binaries, string password, bool durable, CancellationToken cancellation)
    {
        foreach (var unfinished in Directory.EnumerateDirectories(folder, "new-*"))
            Directory.Delete(unfinished, recursive: true);

        var fresh = Path.Combine(folder, $"new-{Guid.NewGuid():N}");
        // Sorting by bytes is the same everywhere and the fastest; letters still know their upper and lower case.
        var letters = OperatingSystem.IsLinux() ? "C.UTF-8" : OperatingSystem.IsMacOS() ? "en_US.UTF-8" : "C";
        string[] durability = durable ? [] : ["--no-sync"];
        // Nobody gets in before the password is set: there is no server yet.
        await Check(binaries.InitDb,
            [
                "-D", fresh, "-U", EmbeddedPostgres.Name, "-A", "trust", "-E", "UTF8",
                "--locale=C", $"--lc-ctype={letters}", "--text-search-config=simple", .. durability,
            ],
            cancellation);
        await Execute(binaries, fresh, durable, [$"create database {EmbeddedPostgres.Name}", PasswordIs(password)], cancellation);
        WantPassword(fresh);
        Directory.Move(fresh, Data);
    }

    /// <summary>Gives data that are there a password, and wants it from now on.</summary>
    public async Task Protect(PostgresBinaries binaries, string password, CancellationToken cancellation)
    {
        await Execute(binaries, Data, durable: true, [PasswordIs(password)], cancellation);
        WantPassword(Data);
    }

    /// <summary>
    /// Deals with what a killed server left behind: a PostgreSQL that is still stopping is waited for; the trace of one
    /// that is gone is made plain to the next.
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
            var (_, output) = await account.Run(binaries.PgCtl, ["stop", "-D", Data, "-m", "fast", "-s", "-t", "60"], cancellation: cancellation);
            if (File.Exists(PidFile))
                throw new StartupException($"A PostgreSQL of an earlier run still holds {Data} and does not stop: {LastLines(output)}");
        }
        else
        {
            // After a restart of the machine any program may have that number: PostgreSQL would take it for a living
            // postmaster and refuse. The file itself stays, for it also tells it to look for living backends.
            lines[0] = NoProcess;
            File.WriteAllLines(PidFile, lines);
        }
    }

    /// <summary>Keeps the log of the run before, and no more of them.</summary>
    public void TurnLog()
    {
        if (File.Exists(Log))
            File.Move(Log, Log + ".previous", overwrite: true);
    }

    public string ReadLog() => File.Exists(Log) ? File.ReadAllText(Log) : "";

    /// <summary>The end of a long text, in one line: the reason is at the end.</summary>
    public static string LastLines(string text) =>
        string.Join(" / ", text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).TakeLast(5));

    private static string RulesIn(string data) => Path.Combine(data, "pg_hba.conf");

    private static void WantPassword(string data) =>
        File.WriteAllText(RulesIn(data), Trust().Replace(File.ReadAllText(RulesIn(data)), "$1scram-sha-256"));

    // Hexadecimal: nothing to quote.
    private static string PasswordIs(string password) => $"alter role {EmbeddedPostgres.Name} password '{password}'";

    /// <summary>Without a server: no port, and nothing to stop again. A statement that fails is shown nowhere: it may hold the password.</summary>
    private Task Execute(PostgresBinaries binaries, string data, bool durable, string[] statements, CancellationToken cancellation) => Check(
        binaries.Postgres,
        [
            "--single", "-D", data, "-c", "exit_on_error=on", "-c", $"fsync={(durable ? "on" : "off")}", "-c", "password_encryption=scram-sha-256",
            "-c", "log_statement=none", "-c", "log_min_error_statement=panic", "postgres",
        ],
        cancellation,
        string.Concat(statements.Select(statement => $"{statement}\n")));

    private async Task Check(string program, string[] arguments, CancellationToken cancellation, string input = "")
    {
        var (exitCode, output) = await account.Run(program, arguments, input, cancellation);
        if (exitCode != 0)
            throw new StartupException($"PostgreSQL could not set its data folder {Data} up: {LastLines(output)}");
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

    /// <summary>A rule that lets in without a password, as the word at the end of a line that is no comment.</summary>
    [GeneratedRegex(@"^([^#\n]*\s)trust\b", RegexOptions.Multiline)]
    private static partial Regex Trust();
}
