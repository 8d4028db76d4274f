using System.Security.Cryptography;
using System.Text;
using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>
/// The folder that keeps the embedded data from run to run. While it is open it belongs to this process alone: the
/// lock is the open file's, so the system takes it back however the process ends.
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const string LockFile = "chat.lock";

    /// <summary>What tells a folder of ours.</summary>
    private static readonly string[] Traces = [LockFile, DevKey.File];

    /// <summary>Asked for only where we are root.</summary>
    private static readonly ServiceAccount Root = ServiceAccount.Ours;

    private readonly FileStream lockFile;

    private DataFolder(string path, FileStream held) => (Path, lockFile) = (path, held);

    /// <summary>The folder in use, which is not the wished one if PostgreSQL's account could not get there.</summary>
    public string Path { get; }

    /// <summary>The part that PostgreSQL's account owns.</summary>
    public string Postgres => System.IO.Path.Combine(Path, "postgres");

    /// <summary>The file with the password of PostgreSQL's superuser.</summary>
    public string Password => System.IO.Path.Combine(Path, "postgres-password");

    /// <summary>Where everything is kept that Development brings by itself.</summary>
    public static string PathOf(IConfiguration configuration, IHostEnvironment environment) =>
        System.IO.Path.Combine(environment.ContentRootPath, configuration["Embedded:DataPath"] ?? ".data");

    /// <summary>Opens the wished folder, or a stable stand-in for it if <paramref name="account"/> cannot use it.</summary>
    /// <exception cref="StartupException">Another process holds the folder, or it cannot be used.</exception>
    public static async Task<DataFolder> Open(EmbeddedPostgresOptions options, ServiceAccount account, CancellationToken cancellation)
    {
        var wished = System.IO.Path.GetFullPath(options.DataPath);
        if (await TryOpen(wished, options.ThrowAway, account, cancellation) is { } folder)
            return folder;

        // The home of root, for one, is closed to others.
        var standIn = $"/var/tmp/chat-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(wished)).AsSpan(0, 5))}";
        await RefuseForeign(standIn, account, cancellation);
        folder = await TryOpen(standIn, options.ThrowAway, account, cancellation)
            ?? throw new StartupException($"PostgreSQL does not run as root, and the account {account.Name} can use neither {wished} nor {standIn} for its data. Set Embedded__DataPath to a folder that it can reach.");
        options.Notice($"PostgreSQL does not run as root, and the account {account.Name} cannot use {wished}: the data are kept in {standIn}.");
        return folder;
    }

    public void Dispose() => lockFile.Dispose();

    /// <summary>Null if the account cannot own its part of the folder.</summary>
    private static async Task<DataFolder?> TryOpen(string path, bool throwAway, ServiceAccount account, CancellationToken cancellation)
    {
        var isOurs = CreateClosed(path);
        var folder = new DataFolder(path, Lock(path));
        if (account.Name is null || await folder.HandTo(account, isOurs, throwAway, cancellation))
            return folder;

        folder.Dispose();
        return null;
    }

    /// <summary>
    /// Makes the folder, closed to everybody else. One that is there is closed, too, if it is ours: earlier versions left it open.
    /// A folder with other things in it stays as its owner wants it; what we put there is closed by itself.
    /// </summary>
    /// <returns>Whether the folder is ours.</returns>
    public static bool CreateClosed(string path)
    {
        var isOurs = !Directory.Exists(path)
            || !Directory.EnumerateFileSystemEntries(path).Any()
            || Traces.Any(file => File.Exists(System.IO.Path.Combine(path, file)));
        Directory.CreateDirectory(path);
        // Whatever the umask.
        if (isOurs && !OperatingSystem.IsWindows() && File.GetUnixFileMode(path) != OwnerOnly)
            File.SetUnixFileMode(path, OwnerOnly);
        return isOurs;
    }

    private static FileStream Lock(string path)
    {
        try
        {
            var file = System.IO.Path.Combine(path, LockFile);
            var held = new FileStream(file, Secrets.Options(FileMode.OpenOrCreate));
            Secrets.Close(file);
            return held;
        }
        catch (IOException held) when (held.HResult is 11 or 35 or unchecked((int)0x80070020)) // EAGAIN on Linux, on macOS; sharing violation
        {
            throw new StartupException($"Another copy of the server is running on the data folder {path}. Stop it, or give this one a folder of its own with Embedded__DataPath.", held);
        }
    }

    /// <summary>
    /// Makes the account the owner of its part, also of data that another one left there, and of the folder around it, which is closed
    /// to it otherwise: root gets everywhere. First it has to look whether the account gets there: data that it could not use
    /// anyway stay whose they are. What is to be thrown away it owns as a whole, for it is the watchdog, running as that account,
    /// that removes it.
    /// </summary>
    private async Task<bool> HandTo(ServiceAccount account, bool isOurs, bool all, CancellationToken cancellation)
    {
        if (!await Succeeds(account, "cd \"$0\"", isOurs ? Directory.GetParent(Path)?.FullName ?? Path : Path))
            return false;

        Directory.CreateDirectory(Postgres);
        return (!isOurs || await Succeeds(Root, $"chown -h {account.Name} \"$0\"", Path))
            && await Succeeds(Root, $"chown -Rh {account.Name} \"$0\"", all ? Path : Postgres)
            && await Succeeds(account, "cd \"$0\" && [ -O . ] && chmod 700 .", Postgres);

        async Task<bool> Succeeds(ServiceAccount who, string script, string path) =>
            (await who.Run("/bin/sh", ["-c", script, path], cancellation: cancellation)).ExitCode == 0;
    }

    /// <summary>Anyone may create folders in /var/tmp: one that is there already must be root's or the account's, or it is a trap.</summary>
    private static async Task RefuseForeign(string path, ServiceAccount account, CancellationToken cancellation)
    {
        const string Look = """
            mkdir -m 700 "$0" 2>/dev/null || { [ -d "$0" ] && [ ! -L "$0" ] && { [ -O "$0" ] || [ -n "$(find "$0" -prune -user "$1")" ]; }; }
            """;
        var (exitCode, _) = await Root.Run("/bin/sh", ["-c", Look, path, account.Name!], cancellation: cancellation);
        if (exitCode != 0)
            throw new StartupException($"{path} cannot hold the data: it is not a folder of root's. Remove it, or set Embedded__DataPath.");
    }
}
