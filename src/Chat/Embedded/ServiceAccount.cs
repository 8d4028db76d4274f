using System.Diagnostics;

namespace Chat.Embedded;

/// <summary>
/// The account that PostgreSQL runs as: ours, unless we are root, which PostgreSQL rejects. Then it is <c>postgres</c> if that
/// account exists, else <c>nobody</c>.
/// </summary>
/// <param name="Name">The account to switch to; null if PostgreSQL runs as we do.</param>
internal sealed record ServiceAccount(string? Name)
{
    /// <summary>The account of this process.</summary>
    public static ServiceAccount Ours { get; } = new((string?)null);

    public static ServiceAccount Find() =>
        OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess ? Ours
        : File.ReadLines("/etc/passwd").Any(line => line.StartsWith("postgres:", StringComparison.Ordinal)) ? new("postgres")
        : new("nobody");

    /// <summary>Prepares a command to run as this account, without environment variables that could interfere.</summary>
    public ProcessStartInfo Command(string file, params IEnumerable<string> arguments)
    {
        // Our working directory may not be accessible to the account, so start in the root directory.
        var command = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = Path.GetPathRoot(Path.GetFullPath(file)),
            CreateNoWindow = true,
        };

        // PGPORT, PGDATA, PGOPTIONS and the like are meant for the developer's own tools, not for this server.
        foreach (var name in command.Environment.Keys.Where(key => key.StartsWith("PG", StringComparison.Ordinal)).ToList())
            command.Environment.Remove(name);

        // English messages: transient startup errors are recognized by their text.
        command.Environment["LC_ALL"] = "C";
        if (Name is not null)
            command.UserName = Name;
        return command;
    }

    /// <summary>Runs a command to completion and returns its exit code and all of its output.</summary>
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
    /// Runs a command that leaves a process behind. Does not read its output, which the remaining process would keep open.
    /// </summary>
    public async Task<bool> RunDetached(string file, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        using var process = Process.Start(Command(file, arguments))!;
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0;
    }
}
