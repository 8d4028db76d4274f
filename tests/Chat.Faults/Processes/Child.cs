using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Chat.Faults;

/// <summary>Signals by their Linux numbers.</summary>
internal enum Signal
{
    Interrupt = 2,
    Quit = 3,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>The resources of a process.</summary>
/// <param name="ResidentMegabytes">The resident memory, in MB.</param>
/// <param name="Threads">The number of threads.</param>
internal readonly record struct Footprint(long ResidentMegabytes, int Threads);

/// <summary>A child process: a node, PostgreSQL or Redis. Its output goes to a file.</summary>
internal sealed class Child : IAsyncDisposable
{
    private readonly Process process;
    private readonly TextWriter log;
    private readonly Reaper reaper;

    private Child(Process process, TextWriter log, Reaper reaper)
    {
        this.process = process;
        this.log = log;
        this.reaper = reaper;
        Id = process.Id;
    }

    public int Id { get; }

    public bool IsRunning => !process.HasExited;

    /// <summary>Its processor time so far.</summary>
    public TimeSpan ProcessorTime => process.TotalProcessorTime;

    public static Child Start(ProcessStartInfo command, string logFile, Reaper reaper)
    {
        command.RedirectStandardOutput = command.RedirectStandardError = command.RedirectStandardInput = true;
        var log = TextWriter.Synchronized(new StreamWriter(logFile, append: true) { AutoFlush = true });
        var process = Process.Start(command)!;
        reaper.Born(process.Id);
        process.OutputDataReceived += (_, line) => Write(log, line.Data);
        process.ErrorDataReceived += (_, line) => Write(log, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        process.StandardInput.Close();
        return new Child(process, log, reaper);
    }

    public void Send(Signal signal) => Send(Id, signal);

    /// <summary>Sends a signal to the process and all of its descendants.</summary>
    public void SendToAll(Signal signal)
    {
        foreach (var pid in Family())
            Send(pid, signal);
    }

    public async Task<int> ExitAsync(TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        await process.WaitForExitAsync(deadline.Token);
        return process.ExitCode;
    }

    public Footprint Footprint()
    {
        var lines = File.ReadLines($"/proc/{Id}/status").Select(line => line.Split(':', 2)).Where(parts => parts.Length == 2)
            .ToDictionary(parts => parts[0], parts => parts[1]);
        return new Footprint(
            long.Parse(lines["VmRSS"].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024,
            int.Parse(lines["Threads"], CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            // A stopped process does not exit, and the children of a killed PostgreSQL must run to notice.
            SendToAll(Signal.Continue);
            Send(Signal.Kill);
        }

        await process.WaitForExitAsync();
        reaper.Gone(Id);
        process.Dispose();
        await log.DisposeAsync();
    }

    private static void Write(TextWriter log, string? line)
    {
        if (line is not null)
            log.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {line}");
    }

    private static void Send(int pid, Signal signal)
    {
        const int NoSuchProcess = 3;
        if (NativeMethods.Kill(pid, (int)signal) != 0 && Marshal.GetLastPInvokeError() is var error and not NoSuchProcess)
            throw new Win32Exception(error);
    }

    private List<int> Family()
    {
        var parents = new Dictionary<int, int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) && ParentOf(pid) is { } parent)
                parents[pid] = parent;
        }

        List<int> family = [Id];
        for (var i = 0; i < family.Count; i++)
            family.AddRange(parents.Where(known => known.Value == family[i]).Select(known => known.Key));
        return family;
    }

    private static int? ParentOf(int pid)
    {
        try
        {
            // The name, in parentheses, may contain anything; state and parent follow it.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static class NativeMethods
    {
        [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Kill(int pid, int signal);
    }
}
