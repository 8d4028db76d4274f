using System.Diagnostics;
using System.Globalization;

namespace Chat.Tests.Embedded;

/// <summary>What PostgreSQL's own files and the system tell about the one that runs on a data folder.</summary>
internal static class Postmaster
{
    public static string PidFile(string dataPath) => Path.Combine(dataPath, "postgres", "data", "postmaster.pid");

    public static int Id(string dataPath) => int.Parse(File.ReadLines(PidFile(dataPath)).First(), CultureInfo.InvariantCulture);

    /// <summary>A process that has ended counts as gone, whether or not its parent has taken notice.</summary>
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
