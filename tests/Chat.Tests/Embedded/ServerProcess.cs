using System.Diagnostics;
using System.Globalization;
using System.Text;
using Chat.Embedded;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Embedded;

/// <summary>The server as its user starts it: a process of its own, in Development, with nothing configured.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();

    private ServerProcess(string dataPath)
    {
        var command = new ProcessStartInfo("dotnet", [typeof(EmbeddedServers).Assembly.Location])
        {
            WorkingDirectory = AppContext.BaseDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["DOTNET_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["Embedded__DataPath"] = dataPath,
            },
        };
        _process = Process.Start(command)!;
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_errors, line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;
    public string Output => Read(_output);
    public string Errors => Read(_errors);

    public static ServerProcess Launch(string dataPath) => new(dataPath);

    public static async Task<ServerProcess> StartListening(string dataPath)
    {
        var server = Launch(dataPath);
        await Eventually.Holds("the server listens", () => server.Output.Contains("istening on", StringComparison.Ordinal) || server._process.HasExited, seconds: 60);
        Assert.False(server._process.HasExited, server.Errors);
        return server;
    }

    public async Task<int> Exit()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await _process.WaitForExitAsync(deadline.Token);
        return _process.ExitCode;
    }

    /// <summary>SIGTERM, as an init system and a container engine send it.</summary>
    public void Terminate()
    {
        using var kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -TERM {Id}")]);
        kill.WaitForExit();
    }

    public void Kill(bool tree = false) => _process.Kill(tree);

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
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
