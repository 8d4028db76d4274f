using System.Diagnostics;

namespace Chat.Bench.Servers;

/// <summary>Starts server processes.</summary>
internal sealed class ServerLauncher
{
    private readonly BackingServices services;
    private readonly string program;
    private readonly string[] arguments;
    private readonly Dictionary<string, string> variables;
    private readonly string readyPath;

    private ServerLauncher(
        BackingServices services, string program, string[] arguments, Dictionary<string, string> variables, string readyPath) =>
        (this.services, this.program, this.arguments, this.variables, this.readyPath) =
            (services, program, arguments, variables, readyPath);

    /// <summary>Returns the launcher of the server that the options specify.</summary>
    public static ServerLauncher For(Options options, BackingServices services) => options.Text("server") switch
    {
        null or "chat" => Chat(options, services),
        "floor" => Floor(services),
        var other => throw new BenchException($"--server must be chat or floor, not {other}."),
    };

    // In Production with default settings, except for the rate limits: here few users send the load of thousands, all from one
    // address.
    private static ServerLauncher Chat(Options options, BackingServices services) => new(
        services,
        Path.GetFullPath(options.Text("chat") ?? Path.Combine(AppContext.BaseDirectory, "Chat.dll")),
        [],
        new()
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ConnectionStrings__Postgres"] = services.Postgres,
            ["ConnectionStrings__Redis"] = services.Redis,
            ["Jwt__Key"] = services.Tokens.Key,
            ["Jwt__Issuer"] = services.Tokens.Issuer,
            ["Jwt__Audience"] = services.Tokens.Audience,
            ["Limits__MessagesPerSecond"] = "1000",
            ["Limits__MessagesPerSecondPerUser"] = "2000",
            // A single address gets a quarter of it.
            ["Limits__HandshakesPerSecond"] = "8000",
            ["Limits__MaxUnauthenticated"] = "40000",
        },
        "/health/ready");

    // This program itself.
    private static ServerLauncher Floor(BackingServices services) => new(
        services, Path.Combine(AppContext.BaseDirectory, "Chat.Bench.dll"), ["floor-server", "--postgres", services.Postgres], [],
        "/ready");

    /// <summary>Applies the database schema; the floor server has none.</summary>
    public async Task ApplySchemaAsync()
    {
        if (arguments.Length > 0)
            return;
        await using var apply = ChildProcess.Start(
            Path.GetDirectoryName(program)!, Path.Combine(services.Folder, "db-apply.log"), variables, "dotnet", program, "db-apply");
        if (await apply.WaitForExitAsync() != 0)
            throw new BenchException($"db-apply failed. {apply.LogTail()}");
    }

    /// <summary>Starts a process, and waits until it is ready.</summary>
    /// <returns>The URL, the process and the startup time.</returns>
    public async Task<(Uri Url, ChildProcess Process, TimeSpan Took)> StartAsync(Uri? address = null)
    {
        var url = address ?? new Uri($"http://127.0.0.1:{BackingServices.FreePort()}");
        var start = Stopwatch.GetTimestamp();
        var process = ChildProcess.Start(
            Path.GetDirectoryName(program)!,
            Path.Combine(services.Folder, $"server-{url.Port}.log"),
            new Dictionary<string, string>(variables) { ["ASPNETCORE_URLS"] = url.ToString() },
            "dotnet", [program, .. arguments]);
        try
        {
            using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
            await process.WaitUntilAsync("The server", () => IsReadyAsync(http, new Uri(url, readyPath)), TimeSpan.FromMilliseconds(5));
            return (url, process, Stopwatch.GetElapsedTime(start));
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
            using var response = await http.GetAsync(address);
            return response.IsSuccessStatusCode;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }
}
