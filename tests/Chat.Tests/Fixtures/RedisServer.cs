using System.Diagnostics;
using System.Globalization;
using StackExchange.Redis;

namespace Chat.Tests.Fixtures;

/// <summary>
/// A real redis-server as a child process, which a test can kill and restart, empty, on the same port. A small shell starts it and
/// reads from a pipe that only this process holds: when this process ends, killed or not, so does the server.
/// </summary>
public sealed class RedisServer : IAsyncDisposable
{
    private const string Watch = """
        "$0" --port "$1" --bind 127.0.0.1 --save '' --appendonly no --daemonize no >/dev/null 2>&1 </dev/null &
        server=$!
        read -r _
        kill -KILL $server
        wait $server 2>/dev/null
        """;

    private static readonly string? Binary = (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, "redis-server"))
        .FirstOrDefault(File.Exists);

    private static readonly Lazy<Task<RedisServer>> OfThisRun = new(Start);

    private readonly int port;
    private Process? shell;

    private RedisServer(int port) => this.port = port;

    /// <summary>Why redis-server is not available; null if it is.</summary>
    public static string? Missing { get; } = Binary is null ? "There is no redis-server on the PATH." : null;

    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    /// <summary>The shared server, for all tests of the run that do not stop it.</summary>
    public static Task<RedisServer> Shared() => OfThisRun.Value;

    /// <summary>Starts a server for one test.</summary>
    public static async Task<RedisServer> Start()
    {
        var server = new RedisServer(TestPort.Pick());
        await server.StartAgain();
        return server;
    }

    /// <summary>An administrative connection of the test.</summary>
    public async Task<RedisResult> Execute(string command, params object[] arguments)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{ConnectionString},allowAdmin=true");
        return await connection.GetDatabase().ExecuteAsync(command, arguments);
    }

    /// <summary>Kills it; all data is lost.</summary>
    public async Task Kill()
    {
        shell!.StandardInput.Close();
        await shell.WaitForExitAsync();
        shell.Dispose();
        shell = null;
    }

    /// <summary>Restarts it, empty.</summary>
    public async Task StartAgain()
    {
        shell = Process.Start(new ProcessStartInfo(
            "/bin/sh", ["-c", Watch, Binary!, port.ToString(CultureInfo.InvariantCulture)])
        { RedirectStandardInput = true })!;
        await Eventually.UntilNoError(RefusalAsync);
    }

    private async Task<string?> RefusalAsync()
    {
        try
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync($"{ConnectionString},connectRetry=1,connectTimeout=500");
            return null;
        }
        catch (RedisConnectionException refused)
        {
            return refused.Message;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (shell is not null)
            await Kill();
    }
}

/// <summary>A fact that requires redis-server.</summary>
public sealed class RedisFactAttribute : FactAttribute
{
    public RedisFactAttribute() => Skip = RedisServer.Missing;
}

/// <summary>A theory that requires redis-server.</summary>
public sealed class RedisTheoryAttribute : TheoryAttribute
{
    public RedisTheoryAttribute() => Skip = RedisServer.Missing;
}
