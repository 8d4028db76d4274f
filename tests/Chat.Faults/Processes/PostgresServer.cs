using System.Globalization;
using Chat.Embedded;
using Npgsql;

namespace Chat.Faults;

/// <summary>A PostgreSQL of the bench's, as durable as a real one, which can be stopped in every way there is.</summary>
internal sealed class PostgresServer(PostgresFiles files, string folder, int port, string logFile, Reaper reaper) : IAsyncDisposable
{
    /// <summary>Of this run's servers, to which other accounts of the machine could connect otherwise.</summary>
    public static readonly string Password = Secrets.New();

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private Child? child;

    /// <summary>More settings, <c>name=value</c>, from the next start on.</summary>
    public List<string> Settings { get; } = [];

    public int Port => port;

    /// <summary>The data folder, from the next start on.</summary>
    public string Data { get; set; } = folder;

    public static string ConnectionTo(int port, int poolSize = 40) => string.Create(
        CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={port};Username={PostgresFiles.Name};Password={Password};Database={PostgresFiles.Name};SSL Mode=Disable;Maximum Pool Size={poolSize}");

    /// <summary>Not by way of a proxy, and out of a pool of its own.</summary>
    public string Direct => $"{ConnectionTo(port)};Pooling=false;Timeout=5";

    /// <summary>
    /// Whether these bytes end an answer outside of a transaction (ReadyForQuery, idle): what was asked is committed.
    /// Under load that is a batch of messages nearly always; now and then it is a mere question.
    /// </summary>
    public static bool SaysDone(ReadOnlyMemory<byte> answer) => answer.Span.EndsWith("Z\0\0\0\u0005I"u8);

    public async Task StartAsync()
    {
        string[] settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=128MB", "timezone=UTC", "log_timezone=UTC", .. Settings];
        child = Child.Start(
            files.Account.Command(files.Binaries.Postgres, ["-D", Data, "-p", port.ToString(CultureInfo.InvariantCulture), .. settings.SelectMany(setting => (string[])["-c", setting])]),
            logFile,
            reaper);
        await Wait.UntilAsync("PostgreSQL lets us in", StartLimit, async () =>
        {
            if (!child.IsRunning)
                throw new InvalidOperationException($"PostgreSQL did not start: {PostgresCluster.LastLines(await File.ReadAllTextAsync(logFile))}");
            await using var connection = new NpgsqlConnection(Direct);
            try
            {
                await connection.OpenAsync();
                return true;
            }
            catch (NpgsqlException)
            {
                return false;
            }
        });
    }

    /// <summary>It may have given up by itself, or not.</summary>
    public async Task StartIfStoppedAsync()
    {
        // One that is about to give up has not yet.
        await Task.Delay(1000);
        if (child!.IsRunning)
            return;
        await child.DisposeAsync();
        await StartAsync();
    }

    /// <summary>Waits for nobody: what is under way is rolled back (<c>fast</c>).</summary>
    public Task StopFastAsync() => StopAsync(Signal.Interrupt);

    /// <summary>Like a crash: nothing is written any more (<c>immediate</c>).</summary>
    public Task StopImmediatelyAsync() => StopAsync(Signal.Quit);

    /// <summary>Every process of it stands still; connections stay and nothing is answered.</summary>
    public void Pause() => child!.SendToAll(Signal.Stop);

    public void Resume() => child!.SendToAll(Signal.Continue);

    public async Task ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(Direct);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (child is null)
            return;
        if (child.IsRunning)
        {
            child.SendToAll(Signal.Continue);
            await StopImmediatelyAsync();
        }
        else
        {
            await child.DisposeAsync();
        }
    }

    private async Task StopAsync(Signal signal)
    {
        child!.Send(signal);
        await child.ExitAsync(StartLimit);
        await child.DisposeAsync();
        child = null;
    }
}

/// <summary>PostgreSQL's programs, its account, and a database with the server's schema that every experiment gets a copy of.</summary>
internal sealed class PostgresFiles(ServiceAccount account, PostgresBinaries binaries, string folder)
{
    public const string Name = EmbeddedPostgres.Name;

    public ServiceAccount Account => account;

    public PostgresBinaries Binaries => binaries;

    private string Template => Path.Combine(folder, "template");

    public static async Task<PostgresFiles> CreateAsync(string folder)
    {
        var account = ServiceAccount.Find();
        Directory.CreateDirectory(folder);
        var binaries = await PostgresBinaries.Find(account, null, folder, Console.Error.WriteLine, CancellationToken.None);
        var files = new PostgresFiles(account, binaries, folder);
        if (account.Name is not null)
            await Check(ServiceAccount.Ours, "/bin/sh", "-c", $"chown {account.Name} '{folder}'");
        Directory.CreateDirectory(Path.Combine(folder, "made"));
        if (account.Name is not null)
            await Check(ServiceAccount.Ours, "/bin/sh", "-c", $"chown {account.Name} '{folder}/made'");
        await new PostgresCluster(Path.Combine(folder, "made"), account).Create(binaries, PostgresServer.Password, durable: false, CancellationToken.None);
        await files.RunAsync("mv", Path.Combine(folder, "made", "data"), files.Template);
        return files;
    }

    /// <summary>A copy of the template, for a server of its own.</summary>
    public async Task<string> CopyAsync(string name)
    {
        var copy = Path.Combine(folder, name);
        await RunAsync("cp", "-a", Template, copy);
        return copy;
    }

    /// <summary>The template's own folder, for as long as no experiment runs.</summary>
    public string Open() => Template;

    /// <summary>Runs a program as PostgreSQL's account.</summary>
    public Task RunAsync(string program, params string[] arguments) => Check(account, "/bin/sh", ["-c", "exec \"$0\" \"$@\"", program, .. arguments]);

    private static async Task Check(ServiceAccount who, string program, params string[] arguments)
    {
        var (exitCode, output) = await who.Run(program, arguments);
        if (exitCode != 0)
            throw new InvalidOperationException($"{string.Join(' ', arguments)} failed: {PostgresCluster.LastLines(output)}");
    }
}
