using System.Diagnostics;
using System.Globalization;

namespace Chat.Faults;

/// <summary>A server process. It restarts on the same address, as behind a load balancer.</summary>
internal sealed class ChatNode(string name, string assembly, int port, IReadOnlyDictionary<string, string> settings, string logFile,
    Reaper reaper, int? files = null) : IAsyncDisposable
{
    /// <summary>The setting for the port of <c>/metrics</c>.</summary>
    public const string AdminPort = "Admin__Port";

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);
    private readonly HttpClient http =
        new(new SocketsHttpHandler { UseProxy = false, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(2) })
        {
            BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")),
            Timeout = TimeSpan.FromSeconds(10),
        };

    private Child? child;

    public string Name => name;

    /// <summary>The server binary, used from the next start on.</summary>
    public string Assembly { get; set; } = assembly;

    public int Port => port;

    public string LogFile => logFile;

    public Uri Address => http.BaseAddress!;

    /// <summary>Additional settings, used from the next start on.</summary>
    public Dictionary<string, string> Special { get; } = [];

    /// <summary>For REST calls; each sets the caller's token.</summary>
    public HttpClient Http => http;

    public Footprint Footprint => child!.Footprint();

    /// <summary>The processor time of its process since the start.</summary>
    public TimeSpan ProcessorTime => child!.ProcessorTime;

    public bool IsRunning => child is { IsRunning: true };

    public async Task StartAsync()
    {
        if (child is not null)
            await child.DisposeAsync();
        child = Child.Start(Command([]), logFile, reaper);
        await Wait.UntilAsync($"{name} serves", StartLimit, async () =>
        {
            if (!child.IsRunning)
                throw new InvalidOperationException($"{name} did not start: {(await File.ReadAllLinesAsync(logFile)).LastOrDefault()}");
            return (await HealthAsync("live")).IsOk;
        });
    }

    /// <summary>Runs a server command to completion.</summary>
    public async Task RunAsync(string command)
    {
        await using var run = Child.Start(Command([command]), logFile, reaper);
        if (await run.ExitAsync(StartLimit) != 0)
            throw new InvalidOperationException($"{command} failed: {(await File.ReadAllLinesAsync(logFile)).LastOrDefault()}");
    }

    /// <summary>Kills it without warning (SIGKILL).</summary>
    public async Task KillAsync()
    {
        child!.Send(Signal.Kill);
        await child.ExitAsync(StartLimit);
    }

    /// <summary>Stops it as an init system does (SIGTERM).</summary>
    /// <returns>How long it took.</returns>
    public async Task<TimeSpan> TerminateAsync()
    {
        var began = Stopwatch.GetTimestamp();
        child!.Send(Signal.Terminate);
        await child.ExitAsync(StartLimit);
        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>Waits until it has exited by itself.</summary>
    public Task<int> ExitAsync(TimeSpan timeout) => child!.ExitAsync(timeout);

    /// <summary>Returns the response of <c>/health/live</c> or <c>/health/ready</c>.</summary>
    public async Task<(bool IsOk, string What)> HealthAsync(string which)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri($"/health/{which}", UriKind.Relative));
            return (answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
        {
            return (false, failure.Message);
        }
    }

    /// <summary>Returns the value of one of the node's metrics.</summary>
    public async Task<int> MetricAsync(string metric)
    {
        var all = await http.GetStringAsync(new Uri($"http://127.0.0.1:{settings[AdminPort]}/metrics"));
        var lines =
            all.Split('\n').Where(line => line.StartsWith(metric, StringComparison.Ordinal) && line[metric.Length] is '{' or ' ').ToArray();
        // Name, labels, value and timestamp.
        return lines.Length > 0
            ? lines.Sum(line => int.Parse(line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Split(
                ' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture))
            : throw new InvalidOperationException($"{name} has no {metric}.");
    }

    public async ValueTask DisposeAsync()
    {
        if (child is not null)
            await child.DisposeAsync();
        http.Dispose();
    }

    private ProcessStartInfo Command(IEnumerable<string> arguments)
    {
        string[] program = ["dotnet", Assembly, .. arguments];
        string[] bounded = files is { } most
            ? ["sh", "-c", string.Create(CultureInfo.InvariantCulture, $"ulimit -n {most}; exec \"$@\""), "sh", .. program] : program;
        var command = new ProcessStartInfo(bounded[0], bounded[1..]) { WorkingDirectory = Path.GetDirectoryName(Assembly) };
        foreach (var (key, value) in settings.Concat(Special))
            command.Environment[key] = value;
        command.Environment["ASPNETCORE_URLS"] = Address.ToString();
        return command;
    }
}
