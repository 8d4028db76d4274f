using System.Diagnostics;
using System.Globalization;

namespace Chat.Bench.Servers;

/// <summary>A process started by the bench, with its output in a log file. It is stopped on dispose.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(20);
    private readonly Process process;
    private readonly string logFile;

    private ChildProcess(Process process, string logFile)
    {
        (this.process, this.logFile) = (process, logFile);
        AppDomain.CurrentDomain.ProcessExit += KillAtExit;
    }

    public int Id => process.Id;

    /// <summary>Starts a program with additional environment variables.</summary>
    public static ChildProcess Start(
        string folder, string logFile, IReadOnlyDictionary<string, string> variables, string program, params IEnumerable<string> arguments)
    {
        // The shell redirects the output to the file, then replaces itself with the program.
        var command =
            new ProcessStartInfo("/bin/sh", ["-c", "out=$1; shift; exec \"$@\" >\"$out\" 2>&1", "sh", logFile, program, .. arguments])
            {
                WorkingDirectory = folder,
            };
        foreach (var (name, value) in variables)
            command.Environment[name] = value;
        return new ChildProcess(Process.Start(command)!, logFile);
    }

    /// <summary>Waits until a condition holds; fails after 60 seconds or when the process exits.</summary>
    public async Task WaitUntilAsync(string what, Func<Task<bool>> condition, TimeSpan interval)
    {
        var start = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(60))
                throw new BenchException($"{what} did not become ready. {LogTail()}");
            await Task.Delay(interval);
        }
    }

    /// <summary>Waits for the process to exit, and returns its exit code.</summary>
    public async Task<int> WaitForExitAsync()
    {
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    /// <summary>Returns the last lines of the log file.</summary>
    public string LogTail() => $"Last lines of {logFile}: {string.Join(" / ", File.ReadLines(logFile).TakeLast(5))}";

    /// <summary>Kills the process, like a crash.</summary>
    public void Kill() => process.Kill();

    /// <summary>Sends SIGTERM, and kills the process after a timeout.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            using (var terminate = Process.Start("/bin/kill", ["-TERM", Id.ToString(CultureInfo.InvariantCulture)]))
                await terminate.WaitForExitAsync();
            using var deadline = new CancellationTokenSource(ShutdownTimeout);
            try
            {
                await process.WaitForExitAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                await process.WaitForExitAsync();
            }
        }

        AppDomain.CurrentDomain.ProcessExit -= KillAtExit;
        process.Dispose();
    }

    // Child processes must not outlive the bench when it is terminated.
    private void KillAtExit(object? sender, EventArgs e) => process.Kill();
}
