using System.Diagnostics;
using System.Globalization;
using System.Text;
using Chat.Embedded;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Embedded;

/// <summary>The server as its user starts it: a process of its own, in Development, with nothing configured.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly StringBuilder errors = new();

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
        process = Process.Start(command)!;
        process.OutputDataReceived += (_, line) => Append(output, line.Data);
        process.ErrorDataReceived += (_, line) => Append(errors, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;
    public string Output => Read(output);
    public string Errors => Read(errors);

    public static ServerProcess Launch(string dataPath) => new(dataPath);

    public static async Task<ServerProcess> StartListening(string dataPath)
    {
        var server = Launch(dataPath);
        await Eventually.Holds("the server listens", () => server.Output.Contains("istening on", StringComparison.Ordinal) || server.process.HasExited, seconds: 60);
        Assert.False(server.process.HasExited, server.Errors);
        return server;
    }

    public async Task<int> Exit()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await process.WaitForExitAsync(deadline.Token);
        return process.ExitCode;
    }

    /// <summary>SIGTERM, as an init system and a container engine send it.</summary>
    public void Terminate()
    {
        using var kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -TERM {Id}")]);
        kill.WaitForExit();
    }

    public void Kill(bool tree = false) => process.Kill(tree);

    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill();
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
