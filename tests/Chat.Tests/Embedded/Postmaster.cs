using System.Diagnostics;
using System.Globalization;

namespace Chat.Tests.Embedded;

/// <summary>Reads PostgreSQL's files and the process list to find the server that runs on a data folder.</summary>
internal static class Postmaster
{
    public static string PidFile(string dataPath) => Path.Combine(dataPath, "postgres", "data", "postmaster.pid");

    public static int Id(string dataPath) => int.Parse(File.ReadLines(PidFile(dataPath)).First(), CultureInfo.InvariantCulture);

    /// <summary>Returns whether a process has ended; a zombie counts as ended.</summary>
    public static bool Lives(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return !OperatingSystem.IsLinux() || File.ReadAllText($"/proc/{pid}/cmdline").Length > 0;
        }
        catch (Exception gone) when (gone is ArgumentException or IOException)
        {
            return false;
        }
    }
}
