using System.Diagnostics;
using System.Globalization;
using System.Text;
using Chat.Embedded;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Embedded;

/// <summary>The server as a process of its own, started as users start it.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process process;
    private readonly bool hasShell;
    private readonly StringBuilder output = new();
    private readonly StringBuilder errors = new();

    private ServerProcess(
        IReadOnlyDictionary<string, string> settings, IEnumerable<string> arguments, (string Program, string Script)? shell = null)
    {
        var command = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = AppContext.BaseDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["ASPNETCORE_URLS"] = "http://127.0.0.1:0" },
        };
        foreach (var (name, value) in settings)
            command.Environment[name] = value;
        hasShell = shell is not null;
        if (shell is { } it)
        {
            command.FileName = it.Program;
            foreach (var (index, word) in new[] { "-c", it.Script, "sh", "dotnet" }.Index())
                command.ArgumentList.Insert(index, word);
        }

        process = Process.Start(command)!;
        process.OutputDataReceived += (_, line) => Append(output, line.Data);
        process.ErrorDataReceived += (_, line) => Append(errors, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;

    /// <summary>The processor time it has used.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
    }

    public string Output => Read(output);
    public string Errors => Read(errors);

    /// <summary>The address it listens on.</summary>
    public Uri Address => new(Output.Split("Now listening on: ")[1].Split('\n')[0].Trim());

    /// <summary>Starts it in Development with nothing configured but the data folder.</summary>
    public static ServerProcess Launch(string dataPath) => Launch(new Dictionary<string, string>
    {
        ["DOTNET_ENVIRONMENT"] = "Development",
        ["ASPNETCORE_ENVIRONMENT"] = "Development",
        ["Embedded__DataPath"] = dataPath,
    });

    /// <summary>Starts it with these environment variables and arguments.</summary>
    public static ServerProcess Launch(IReadOnlyDictionary<string, string> settings, params IEnumerable<string> arguments) =>
        new(settings, [typeof(EmbeddedServers).Assembly.Location, .. arguments]);

    /// <summary>Starts it with a limit of open files.</summary>
    public static ServerProcess LaunchWithin(int files, IReadOnlyDictionary<string, string> settings) =>
        new(settings, [typeof(EmbeddedServers).Assembly.Location],
            ("/bin/sh", string.Create(CultureInfo.InvariantCulture, $"ulimit -n {files}; exec \"$@\"")));

    /// <summary>
    /// Starts it below a process named systemd, by which a server detects that it is a unit. That process forwards SIGTERM.
    /// </summary>
    /// <param name="systemd">A link of that name to the shell.</param>
    /// <param name="settings">Environment variables.</param>
    public static ServerProcess LaunchAsUnit(string systemd, IReadOnlyDictionary<string, string> settings) =>
        new(settings, [typeof(EmbeddedServers).Assembly.Location],
            (systemd, "\"$@\" & unit=$!; trap 'kill -TERM $unit' TERM; wait $unit || wait $unit"));

    /// <summary>Starts it through <c>dotnet run</c>.</summary>
    public static ServerProcess LaunchBySdk(IReadOnlyDictionary<string, string> settings, params IEnumerable<string> arguments) =>
        new(settings, ["run", .. arguments]);

    public static Task<ServerProcess> StartListening(string dataPath) => Listening(Launch(dataPath));

    public static Task<ServerProcess> StartListening(IReadOnlyDictionary<string, string> settings) => Listening(Launch(settings));

    public static async Task<ServerProcess> Listening(ServerProcess server)
    {
        await Eventually.Until(
            "the server listens", () => server.Output.Contains("istening on", StringComparison.Ordinal) || server.process.HasExited);
        Assert.False(server.process.HasExited, server.Errors);
        return server;
    }

    /// <summary>Waits for the exit and for the end of its output.</summary>
    public async Task<int> Exit()
    {
        using var deadline = new CancellationTokenSource(Eventually.Timeout);
        await process.WaitForExitAsync(deadline.Token);
        return process.ExitCode;
    }

    /// <summary>Sends SIGTERM, as init systems and container engines do.</summary>
    public void Terminate()
    {
        using var kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -TERM {Id}")]);
        kill.WaitForExit();
    }

    public void Kill(bool tree = false) => process.Kill(tree);

    public void Dispose()
    {
        // Killing the shell would leave the server running.
        if (!process.HasExited)
            process.Kill(entireProcessTree: hasShell);
        process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        lock (text)
            text.AppendLine(line);
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
            return text.ToString().Trim();
    }
}
