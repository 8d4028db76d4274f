using System.Diagnostics;
using System.Globalization;
using StackExchange.Redis;

namespace Chat.Tests.Fixtures;

/// <summary>
/// A real redis-server as a child process, which a test may kill and start again, empty, on the same port. A small
/// shell starts it and reads from a pipe that only we hold: when we are gone, killed or not, so is the server.
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

    /// <summary>Why there is none here; null if there is one.</summary>
    public static string? Missing { get; } = Binary is null ? "There is no redis-server on the PATH." : null;

    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    /// <summary>One for all tests of the run that do not stop it.</summary>
    public static Task<RedisServer> Shared() => OfThisRun.Value;

    /// <summary>One of a test's own.</summary>
    public static async Task<RedisServer> Start()
    {
        var server = new RedisServer(TestPort.Pick());
        await server.StartAgain();
        return server;
    }

    /// <summary>What its owner says to it, beside everybody else.</summary>
    public async Task<RedisResult> Execute(string command, params object[] arguments)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{ConnectionString},allowAdmin=true");
        return await connection.GetDatabase().ExecuteAsync(command, arguments);
    }

    /// <summary>Kills it at once, and with it all it knew.</summary>
    public async Task Kill()
    {
        shell!.StandardInput.Close();
        await shell.WaitForExitAsync();
        shell.Dispose();
        shell = null;
    }

    /// <summary>Starts it again, empty.</summary>
    public async Task StartAgain()
    {
        shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Watch, Binary!, port.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardInput = true })!;
        await Eventually.IsRight(RefusalAsync);
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

/// <summary>A fact that needs a redis-server of its own.</summary>
public sealed class RedisFactAttribute : FactAttribute
{
    public RedisFactAttribute() => Skip = RedisServer.Missing;
}

/// <summary>A theory that needs a redis-server.</summary>
public sealed class RedisTheoryAttribute : TheoryAttribute
{
    public RedisTheoryAttribute() => Skip = RedisServer.Missing;
}
