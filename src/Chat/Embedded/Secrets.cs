using System.Security.Cryptography;
using System.Text;

namespace Chat.Embedded;

/// <summary>
/// Secrets of Development: generated at the first start and kept in the data folder, readable by their owner only. None is ever
/// committed, so that no well-known secret exists.
/// </summary>
internal static class Secrets
{
    private const int Bytes = 32;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Generates a secret without saving it.</summary>
    public static string New() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(Bytes));

    /// <summary>Returns the secret in a file; null if there is none.</summary>
    public static string? Load(string file)
    {
        if (!File.Exists(file))
            return null;
        Restrict(file);
        return File.ReadAllText(file).Trim() is { Length: > 0 } saved ? saved : null;
    }

    /// <summary>Saves a secret atomically, and never through a link placed by someone else.</summary>
    public static void Save(string file, string secret)
    {
        var unfinished = $"{file}.new";
        File.Delete(unfinished);
        using (var created = new FileStream(unfinished, Options(FileMode.CreateNew)))
            created.Write(Encoding.ASCII.GetBytes(secret));
        File.Move(unfinished, file, overwrite: true);
    }

    /// <summary>Restricts a file to its owner: earlier versions did not.</summary>
    public static void Restrict(string file)
    {
        if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(file) != OwnerOnly)
            File.SetUnixFileMode(file, OwnerOnly);
    }

    /// <summary>Returns options that open a file accessible to its owner only, from its creation on.</summary>
    public static FileStreamOptions Options(FileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = mode,
            Access = mode == FileMode.CreateNew ? FileAccess.Write : FileAccess.ReadWrite,
            Share = FileShare.None
        };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        return options;
    }
}
