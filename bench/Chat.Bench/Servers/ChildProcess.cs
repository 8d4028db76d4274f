using System.Diagnostics;
using System.Globalization;

namespace Chat.Bench.Servers;

/// <summary>A process that the bench has started, and ends by its id. Its output goes into a file.</summary>
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

    /// <summary>Starts a program, with these variables on top of ours.</summary>
    public static ChildProcess Start(string folder, string logFile, IReadOnlyDictionary<string, string> variables, string program, params IEnumerable<string> arguments)
    {
        // The shell only ties the output to the file, and becomes the program.
        var command = new ProcessStartInfo("/bin/sh", ["-c", "out=$1; shift; exec \"$@\" >\"$out\" 2>&1", "sh", logFile, program, .. arguments])
        {
            WorkingDirectory = folder,
        };
        foreach (var (name, value) in variables)
            command.Environment[name] = value;
        return new ChildProcess(Process.Start(command)!, logFile);
    }

    /// <summary>Waits until it holds.</summary>
    public async Task WaitUntilAsync(string what, Func<Task<bool>> holds, TimeSpan pause)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await holds())
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(60))
                throw new BenchException($"{what} did not come about. {LogTail()}");
            await Task.Delay(pause);
        }
    }

    /// <summary>Waits for its end.</summary>
    public async Task<int> WaitForExitAsync()
    {
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    /// <summary>The end of what it wrote.</summary>
    public string LogTail() => $"The end of {logFile}: {string.Join(" / ", File.ReadLines(logFile).TakeLast(5))}";

    /// <summary>As a crash: without a chance to clean up.</summary>
    public void Kill() => process.Kill();

    /// <summary>SIGTERM, and only if that does not help, more.</summary>
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

    // When the bench itself is told to stop, nobody else would end what it has started.
    private void KillAtExit(object? sender, EventArgs e) => process.Kill();
}
