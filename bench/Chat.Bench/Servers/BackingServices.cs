using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Chat.Embedded;
using Npgsql;

namespace Chat.Bench.Servers;

/// <summary>
/// The PostgreSQL and Redis that the bench starts, with the settings documented for Production: PostgreSQL with its defaults,
/// fsync on; Redis without persistence.
/// </summary>
internal sealed class BackingServices : IAsyncDisposable
{
    /// <summary>Enough for the pools of two nodes and the bench.</summary>
    private const int MaxConnections = 300;

    private readonly EmbeddedPostgres postgres;
    private readonly ChildProcess redis;
    private readonly bool keep;

    private BackingServices(EmbeddedPostgres postgres, ChildProcess redis, int redisPort, string folder, bool keep)
    {
        (this.postgres, this.redis, this.keep, Folder) = (postgres, redis, keep, folder);
        Redis = $"127.0.0.1:{redisPort}";
        PostgresProcessId = int.Parse(
            File.ReadLines(Path.Combine(postgres.DataPath, "postgres", "data", "postmaster.pid")).First(), CultureInfo.InvariantCulture);
    }

    /// <summary>The folder for data and logs.</summary>
    public string Folder { get; }

    public string Postgres => postgres.ConnectionString;

    public string Redis { get; }

    public int PostgresProcessId { get; }

    public int RedisProcessId => redis.Id;

    /// <summary>Issues tokens for all servers on these services with the same key, so that tokens survive a server restart.</summary>
    public TokenIssuer Tokens { get; } = new(Convert.ToHexString(RandomNumberGenerator.GetBytes(32)), "chat-bench", "chat", null);

    /// <summary>Starts both; with <c>--data</c> the database is kept across runs.</summary>
    public static async Task<BackingServices> StartAsync(Options options, Progress progress)
    {
        progress.SetPhase("starting PostgreSQL and Redis");
        var keep = options.Text("data") is { Length: > 0 };
        var folder = keep ? Path.GetFullPath(options.Text("data")!) : Directory.CreateTempSubdirectory("chat-bench-").FullName;
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
        var postgres =
            await EmbeddedPostgres.StartAsync(new() { DataPath = folder, MaxConnections = MaxConnections, Notice = progress.Log });
        try
        {
            var port = FreePort();
            var redis = ChildProcess.Start(
                folder, Path.Combine(folder, "redis.log"), new Dictionary<string, string>(),
                "redis-server", "--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no");
            await redis.WaitUntilAsync("Redis", () => IsOpenAsync(port), TimeSpan.FromMilliseconds(50));
            return new BackingServices(postgres, redis, port, folder, keep);
        }
        catch
        {
            await postgres.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a query that returns one number.</summary>
    public async Task<long> CountAsync(string sql)
    {
        await using var database = NpgsqlDataSource.Create($"{Postgres};Command Timeout=600");
        await using var command = database.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        NpgsqlConnection.ClearAllPools();
        await redis.DisposeAsync();
        await postgres.DisposeAsync();
        if (!keep)
            Directory.Delete(Folder, recursive: true);
    }

    /// <summary>Returns a port that was free just now.</summary>
    public static int FreePort() => LoopbackPort.Pick();

    private static async Task<bool> IsOpenAsync(int port)
    {
        using var socket = new TcpClient();
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
