using System.Security.Cryptography;
using System.Text;
using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>
/// The folder of the embedded servers' data. One process at a time may use it: it holds a lock on an open file, which the
/// operating system releases however the process ends.
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const string LockFile = "chat.lock";

    /// <summary>The files that identify a folder of ours.</summary>
    private static readonly string[] MarkerFiles = [LockFile, DevKey.File];

    /// <summary>Used only when running as root.</summary>
    private static readonly ServiceAccount Root = ServiceAccount.Ours;

    private readonly FileStream lockFile;

    private DataFolder(string path, FileStream held) => (Path, lockFile) = (path, held);

    /// <summary>The folder in use; a fallback if PostgreSQL's account cannot access the configured one.</summary>
    public string Path { get; }

    /// <summary>The subfolder owned by PostgreSQL's account.</summary>
    public string Postgres => System.IO.Path.Combine(Path, "postgres");

    /// <summary>The file with the password of PostgreSQL's superuser.</summary>
    public string Password => System.IO.Path.Combine(Path, "postgres-password");

    /// <summary>Returns the folder of Development's data.</summary>
    public static string PathOf(IConfiguration configuration, IHostEnvironment environment) =>
        System.IO.Path.Combine(environment.ContentRootPath, configuration["Embedded:DataPath"] ?? ".data");

    /// <summary>Opens the configured folder, or a stable fallback if <paramref name="account"/> cannot use it.</summary>
    /// <exception cref="StartupException">Another process uses the folder, or it is not accessible.</exception>
    public static async Task<DataFolder> Open(EmbeddedPostgresOptions options, ServiceAccount account, CancellationToken cancellation)
    {
        var configured = System.IO.Path.GetFullPath(options.DataPath);
        if (await TryOpen(configured, options.ThrowAway, account, cancellation) is { } folder)
            return folder;

        // Root's home, for example, is not accessible to others.
        var fallback = $"/var/tmp/chat-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(configured)).AsSpan(0, 5))}";
        await RejectForeign(fallback, account, cancellation);
        folder = await TryOpen(fallback, options.ThrowAway, account, cancellation)
            ?? throw new StartupException(
                    $"PostgreSQL cannot run as root, and the account {account.Name} can use neither {configured} nor {fallback} for its data. " +
                    "Set Embedded__DataPath to a folder that it can access.");
        options.Notice(
            $"PostgreSQL cannot run as root, and the account {account.Name} cannot use {configured}; the data are kept in {fallback}.");
        return folder;
    }

    public void Dispose() => lockFile.Dispose();

    /// <summary>Opens the folder; null if the account cannot own its subfolder.</summary>
    private static async Task<DataFolder?> TryOpen(string path, bool throwAway, ServiceAccount account, CancellationToken cancellation)
    {
        var isOurs = CreateClosed(path);
        var folder = new DataFolder(path, Lock(path));
        if (account.Name is null || await folder.HandOverTo(account, isOurs, throwAway, cancellation))
            return folder;

        folder.Dispose();
        return null;
    }

    /// <summary>
    /// Creates the folder, accessible to its owner only. An existing folder of ours is restricted, too: earlier versions did not.
    /// The permissions of a folder with other files are left alone; our files in it are restricted individually.
    /// </summary>
    /// <returns>Whether the folder is ours.</returns>
    public static bool CreateClosed(string path)
    {
        var isOurs = !Directory.Exists(path)
            || !Directory.EnumerateFileSystemEntries(path).Any()
            || MarkerFiles.Any(file => File.Exists(System.IO.Path.Combine(path, file)));
        Directory.CreateDirectory(path);
        // Regardless of the umask.
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
            Secrets.Restrict(file);
            return held;
        }
        catch (IOException held) when (held.HResult is 11 or 35
            or unchecked((int)0x80070020)) // EAGAIN on Linux, on macOS; sharing violation
        {
            throw new StartupException(
                $"Another server process is using the data folder {path}. Stop it, or set Embedded__DataPath to another folder.", held);
        }
    }

    /// <summary>
    /// Makes the account the owner of its subfolder, including existing data of another account, and of the surrounding folder,
    /// which it could not enter otherwise; root can. First checks that the account can reach the folder: else ownership is left
    /// unchanged. Throw-away data are handed over completely, because the watchdog, which runs as that account, removes them.
    /// </summary>
    private async Task<bool> HandOverTo(ServiceAccount account, bool isOurs, bool all, CancellationToken cancellation)
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

    /// <summary>
    /// Anyone may create folders in /var/tmp: an existing one must belong to root or the account, or it may be an attack.
    /// </summary>
    private static async Task RejectForeign(string path, ServiceAccount account, CancellationToken cancellation)
    {
        const string Look = """
            mkdir -m 700 "$0" 2>/dev/null || { [ -d "$0" ] && [ ! -L "$0" ] && { [ -O "$0" ] || [ -n "$(find "$0" -prune -user "$1")" ]; }; }
            """;
        var (exitCode, _) = await Root.Run("/bin/sh", ["-c", Look, path, account.Name!], cancellation: cancellation);
        if (exitCode != 0)
            throw new StartupException(
                $"{path} cannot be used for the data, because it does not belong to root. Remove it, or set Embedded__DataPath.");
    }
}
