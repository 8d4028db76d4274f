using System.Diagnostics;

namespace Chat.Bench.Servers;

/// <summary>How a server of the bench's own is started.</summary>
internal sealed class ServerLauncher
{
    private readonly BackingServices backends;
    private readonly string program;
    private readonly string[] arguments;
    private readonly Dictionary<string, string> variables;
    private readonly string readyPath;

    private ServerLauncher(BackingServices backends, string program, string[] arguments, Dictionary<string, string> variables, string readyPath) =>
        (this.backends, this.program, this.arguments, this.variables, this.readyPath) = (backends, program, arguments, variables, readyPath);

    /// <summary>The server that the options name.</summary>
    public static ServerLauncher For(Options options, BackingServices backends) => options.Text("server") switch
    {
        null or "chat" => Chat(options, backends),
        "floor" => Floor(backends),
        var other => throw new BenchException($"--server is chat or floor, not {other}."),
    };

    // In Production, with its default settings but for the rates, which are for people: here a few talk for thousands, and
    // all come from one address.
    private static ServerLauncher Chat(Options options, BackingServices backends) => new(
        backends,
        Path.GetFullPath(options.Text("chat") ?? Path.Combine(AppContext.BaseDirectory, "Chat.dll")),
        [],
        new()
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ConnectionStrings__Postgres"] = backends.Postgres,
            ["ConnectionStrings__Redis"] = backends.Redis,
            ["Jwt__Key"] = backends.Tokens.Key,
            ["Jwt__Issuer"] = backends.Tokens.Issuer,
            ["Jwt__Audience"] = backends.Tokens.Audience,
            ["Limits__MessagesPerSecond"] = "1000",
            ["Limits__MessagesPerSecondPerUser"] = "2000",
            // A quarter for one address.
            ["Limits__HandshakesPerSecond"] = "8000",
            ["Limits__MaxUnauthenticated"] = "40000",
        },
        "/health/ready");

    // Out of this very program.
    private static ServerLauncher Floor(BackingServices backends) => new(
        backends, Path.Combine(AppContext.BaseDirectory, "Chat.Bench.dll"), ["floor-server", "--postgres", backends.Postgres], [], "/ready");

    /// <summary>Applies the schema.</summary>
    public async Task ApplySchemaAsync()
    {
        if (arguments.Length > 0)
            return;
        await using var apply = ChildProcess.Start(Path.GetDirectoryName(program)!, Path.Combine(backends.Folder, "db-apply.log"), variables, "dotnet", program, "db-apply");
        if (await apply.WaitForExitAsync() != 0)
            throw new BenchException($"db-apply failed. {apply.LogTail()}");
    }

    /// <summary>Starts a process and waits until it is ready.</summary>
    /// <returns>Where it listens, and how long that took.</returns>
    public async Task<(Uri Url, ChildProcess Process, TimeSpan Took)> StartAsync(Uri? address = null)
    {
        var url = address ?? new Uri($"http://127.0.0.1:{BackingServices.FreePort()}");
        var began = Stopwatch.GetTimestamp();
        var process = ChildProcess.Start(
            Path.GetDirectoryName(program)!,
            Path.Combine(backends.Folder, $"server-{url.Port}.log"),
            new Dictionary<string, string>(variables) { ["ASPNETCORE_URLS"] = url.ToString() },
            "dotnet", [program, .. arguments]);
        try
        {
            using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
            await process.WaitUntilAsync("A server that is ready", () => IsReadyAsync(http, new Uri(url, readyPath)), TimeSpan.FromMilliseconds(5));
            return (url, process, Stopwatch.GetElapsedTime(began));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    private static async Task<bool> IsReadyAsync(HttpClient http, Uri address)
    {
        try
        {
            using var answer = await http.GetAsync(address);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }
}
