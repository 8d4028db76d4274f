using System.Security.Cryptography;
using System.Text;

namespace Chat.Embedded;

/// <summary>
/// Secrets that Development makes for itself: made at the first start and kept in the data folder, readable by their owner alone.
/// None is ever committed, so there is none for Production to refuse.
/// </summary>
internal static class Secrets
{
    private const int Bytes = 32;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>One that nothing keeps.</summary>
    public static string New() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(Bytes));

    /// <summary>The one that is kept in this file; null if there is none.</summary>
    public static string? Load(string file)
    {
        if (!File.Exists(file))
            return null;
        Close(file);
        return File.ReadAllText(file).Trim() is { Length: > 0 } kept ? kept : null;
    }

    /// <summary>Keeps it: all of it or nothing, whenever the process ends, and never through a link that somebody else has put there.</summary>
    public static void Save(string file, string secret)
    {
        var unfinished = $"{file}.new";
        File.Delete(unfinished);
        using (var created = new FileStream(unfinished, Options(FileMode.CreateNew)))
            created.Write(Encoding.ASCII.GetBytes(secret));
        File.Move(unfinished, file, overwrite: true);
    }

    /// <summary>Takes it from everybody else: earlier versions left it open.</summary>
    public static void Close(string file)
    {
        if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(file) != OwnerOnly)
            File.SetUnixFileMode(file, OwnerOnly);
    }

    /// <summary>How to open a file that is its owner's alone from the moment when it is there.</summary>
    public static FileStreamOptions Options(FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = mode == FileMode.CreateNew ? FileAccess.Write : FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        return options;
    }
}
