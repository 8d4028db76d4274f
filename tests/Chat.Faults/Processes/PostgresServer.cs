using System.Globalization;
using Chat.Embedded;
using Npgsql;

namespace Chat.Faults;

/// <summary>A PostgreSQL server with production durability that can be stopped in every possible way.</summary>
internal sealed class PostgresServer(PostgresFiles files, string folder, int port, string logFile, Reaper reaper) : IAsyncDisposable
{
    /// <summary>The password of this run's servers, which other accounts of the machine could connect to otherwise.</summary>
    public static readonly string Password = Secrets.New();

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private Child? child;

    /// <summary>Additional settings, <c>name=value</c>, used from the next start on.</summary>
    public List<string> Settings { get; } = [];

    public int Port => port;

    /// <summary>The data folder, used from the next start on.</summary>
    public string Data { get; set; } = folder;

    public static string ConnectionTo(int port, int poolSize = 40) => string.Create(
        CultureInfo.InvariantCulture,
        $"Host=127.0.0.1;Port={port};Username={PostgresFiles.Name};Password={Password};Database={PostgresFiles.Name};SSL Mode=Disable;Maximum Pool Size={poolSize}");

    /// <summary>Connects directly, not through a proxy, with a pool of its own.</summary>
    public string Direct => $"{ConnectionTo(port)};Pooling=false;Timeout=5";

    /// <summary>
    /// Returns whether these bytes end a reply outside of a transaction (ReadyForQuery, idle): the request is committed. Under load
    /// that is nearly always a batch of messages; occasionally it is a query.
    /// </summary>
    public static bool SaysDone(ReadOnlyMemory<byte> answer) => answer.Span.EndsWith("Z\0\0\0\u0005I"u8);

    public async Task StartAsync()
    {
        string[] settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=128MB", "timezone=UTC",
            "log_timezone=UTC", .. Settings];
        child = Child.Start(
            files.Account.Command(files.Binaries.Postgres, ["-D", Data, "-p", port.ToString(CultureInfo.InvariantCulture),
            .. settings.SelectMany(setting => (string[])["-c", setting])]),
            logFile,
            reaper);
        await Wait.UntilAsync("PostgreSQL lets us in", StartLimit, async () =>
        {
            if (!child.IsRunning)
                throw new InvalidOperationException(
                    $"PostgreSQL did not start: {PostgresCluster.LastLines(await File.ReadAllTextAsync(logFile))}");
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

    /// <summary>Starts it; it may or may not have exited by itself.</summary>
    public async Task StartIfStoppedAsync()
    {
        // One that is about to exit may not have done so yet.
        await Task.Delay(1000);
        if (child!.IsRunning)
            return;
        await child.DisposeAsync();
        await StartAsync();
    }

    /// <summary>Stops without waiting for clients; running transactions are rolled back (<c>fast</c>).</summary>
    public Task StopFastAsync() => StopAsync(Signal.Interrupt);

    /// <summary>Stops like a crash, without writing anything (<c>immediate</c>).</summary>
    public Task StopImmediatelyAsync() => StopAsync(Signal.Quit);

    /// <summary>Suspends all of its processes; connections stay open and nothing is answered.</summary>
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

/// <summary>PostgreSQL's binaries and account, and a template database with the server's schema that each experiment copies.</summary>
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
        await new PostgresCluster(Path.Combine(folder, "made"), account).Create(
            binaries, PostgresServer.Password, durable: false, CancellationToken.None);
        await files.RunAsync("mv", Path.Combine(folder, "made", "data"), files.Template);
        return files;
    }

    /// <summary>Copies the template for a server of its own.</summary>
    public async Task<string> CopyAsync(string name)
    {
        var copy = Path.Combine(folder, name);
        await RunAsync("cp", "-a", Template, copy);
        return copy;
    }

    /// <summary>The folder of the template; only used while no experiment runs.</summary>
    public string Open() => Template;

    /// <summary>Runs a program under PostgreSQL's account.</summary>
    public Task RunAsync(string program, params string[] arguments) =>
        Check(account, "/bin/sh", ["-c", "exec \"$0\" \"$@\"", program, .. arguments]);

    private static async Task Check(ServiceAccount who, string program, params string[] arguments)
    {
        var (exitCode, output) = await who.Run(program, arguments);
        if (exitCode != 0)
            throw new InvalidOperationException($"{string.Join(' ', arguments)} failed: {PostgresCluster.LastLines(output)}");
    }
}
