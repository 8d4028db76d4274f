using System.Security.Cryptography;
using System.Text;

namespace Chat.Embedded;

/// <summary>
/// The folder that keeps the embedded data from run to run. While it is open it belongs to this process alone: the
/// lock is the open file's, so the system takes it back however the process ends.
/// </summary>
internal sealed class DataFolder : IDisposable
{
    /// <summary>Asked for only where we are root.</summary>
    private static readonly ServiceAccount Root = ServiceAccount.Ours;

    private readonly FileStream lockFile;

    private DataFolder(string path, FileStream held) => (Path, lockFile) = (path, held);

    /// <summary>The folder in use, which is not the wished one if PostgreSQL's account could not get there.</summary>
    public string Path { get; }

    /// <summary>The part that PostgreSQL's account owns.</summary>
    public string Postgres => System.IO.Path.Combine(Path, "postgres");

    /// <summary>Opens the wished folder, or a stable stand-in for it if <paramref name="account"/> cannot use it.</summary>
    /// <exception cref="StartException">Another process holds the folder, or it cannot be used.</exception>
    public static async Task<DataFolder> Open(EmbeddedPostgresOptions options, ServiceAccount account, CancellationToken cancellation)
    {
        var wished = System.IO.Path.GetFullPath(options.DataPath);
        if (await TryOpen(wished, options.ThrowAway, account, cancellation) is { } folder)
            return folder;

        // The home of root, for one, is closed to others.
        var standIn = $"/var/tmp/chat-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(wished)).AsSpan(0, 5))}";
        await RefuseForeign(standIn, cancellation);
        folder = await TryOpen(standIn, options.ThrowAway, account, cancellation)
            ?? throw new StartException($"PostgreSQL does not run as root, and the account {account.Name} can use neither {wished} nor {standIn} for its data. Set Embedded__DataPath to a folder that it can reach.");
        options.Notice($"PostgreSQL does not run as root, and the account {account.Name} cannot use {wished}: the data are kept in {standIn}.");
        return folder;
    }

    public void Dispose() => lockFile.Dispose();

    /// <summary>Null if the account cannot own its part of the folder.</summary>
    private static async Task<DataFolder?> TryOpen(string path, bool throwAway, ServiceAccount account, CancellationToken cancellation)
    {
        CreateReachable(path);
        var folder = new DataFolder(path, Lock(path));
        if (account.Name is null || await folder.HandTo(account, throwAway, cancellation))
            return folder;

        folder.Dispose();
        return null;
    }

    private static void CreateReachable(string path)
    {
        if (Directory.Exists(path))
            return;

        Directory.CreateDirectory(path);
        // Whatever the umask: others must get through to reach the part that is theirs, which is closed again (0700).
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    private static FileStream Lock(string path)
    {
        try
        {
            return new FileStream(System.IO.Path.Combine(path, "chat.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException held) when (held.HResult is 11 or 35 or unchecked((int)0x80070020)) // EAGAIN on Linux, on macOS; sharing violation
        {
            throw new StartException($"Another copy of the server is running on the data folder {path}. Stop it, or give this one a folder of its own with Embedded__DataPath.", held);
        }
    }

    /// <summary>
    /// Makes the account the owner of its part, also of data that another one left there. First it has to look whether
    /// it gets there: data that it could not use anyway stay whose they are. What is to be thrown away it owns as a
    /// whole, for it is the watchdog, running as that account, that removes it.
    /// </summary>
    private async Task<bool> HandTo(ServiceAccount account, bool all, CancellationToken cancellation)
    {
        if (!await Succeeds(account, "cd \"$0\"", Path))
            return false;

        Directory.CreateDirectory(Postgres);
        return await Succeeds(Root, $"chown -Rh {account.Name} \"$0\"", all ? Path : Postgres)
            && await Succeeds(account, "cd \"$0\" && [ -O . ] && chmod 700 .", Postgres);

        async Task<bool> Succeeds(ServiceAccount who, string script, string path) =>
            (await who.Run("/bin/sh", ["-c", script, path], cancellation: cancellation)).ExitCode == 0;
    }

    /// <summary>Anyone may create folders in /var/tmp: one that is there already must be root's, or it is a trap.</summary>
    private static async Task RefuseForeign(string path, CancellationToken cancellation)
    {
        var (exitCode, _) = await Root.Run("/bin/sh", ["-c", "mkdir -m 755 \"$0\" 2>/dev/null || { [ -d \"$0\" ] && [ ! -L \"$0\" ] && [ -O \"$0\" ]; }", path], cancellation: cancellation);
        if (exitCode != 0)
            throw new StartException($"{path} cannot hold the data: it is not a folder of root's. Remove it, or set Embedded__DataPath.");
    }
}
