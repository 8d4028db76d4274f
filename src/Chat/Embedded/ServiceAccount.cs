using System.Diagnostics;

namespace Chat.Embedded;

/// <summary>
/// The account that PostgreSQL runs as. It is ours, unless we are root: PostgreSQL refuses root, so it then runs as
/// <c>postgres</c> where that account exists, else as <c>nobody</c>.
/// </summary>
/// <param name="Name">The account to change to; null when PostgreSQL runs as we do.</param>
internal sealed record ServiceAccount(string? Name)
{
    /// <summary>The account of this process.</summary>
    public static ServiceAccount Ours { get; } = new((string?)null);

    public static ServiceAccount Find() =>
        OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess ? Ours
        : File.ReadLines("/etc/passwd").Any(line => line.StartsWith("postgres:", StringComparison.Ordinal)) ? new("postgres")
        : new("nobody");

    /// <summary>A command that will run as this account, with nothing of our surroundings that could mislead it.</summary>
    public ProcessStartInfo Command(string file, params IEnumerable<string> arguments)
    {
        // The account may not be allowed into our working directory, so it starts in one that is open to everyone.
        var command = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = Path.GetPathRoot(Path.GetFullPath(file)),
            CreateNoWindow = true,
        };

        // PGPORT, PGDATA, PGOPTIONS and the like are meant for the developer's own tools, not for this server.
        foreach (var name in command.Environment.Keys.Where(key => key.StartsWith("PG", StringComparison.Ordinal)).ToList())
            command.Environment.Remove(name);

        // Messages stay in English: a start that failed for a taken port is told apart by its text.
        command.Environment["LC_ALL"] = "C";
        if (Name is not null)
            command.UserName = Name;
        return command;
    }

    /// <summary>Runs a command to its end and returns its exit code and everything that it wrote.</summary>
    public async Task<(int ExitCode, string Output)> Run(
        string file, IEnumerable<string> arguments, string input = "", CancellationToken cancellation = default)
    {
        var command = Command(file, arguments);
        command.RedirectStandardInput = command.RedirectStandardOutput = command.RedirectStandardError = true;

        using var process = Process.Start(command)!;
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellation);
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var errors = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, (await output + await errors).Trim());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>
    /// Runs a command that leaves a process behind. Its output is not read: the process that stays would hold it open.
    /// </summary>
    public async Task<bool> RunDetached(string file, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        using var process = Process.Start(Command(file, arguments))!;
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0;
    }
}
