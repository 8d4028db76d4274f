using System.Diagnostics;
using System.Globalization;

namespace Chat.Faults;

/// <summary>
/// Ends what the bench has started, however the bench itself ends: a small shell holds the other end of a pipe, knows all process
/// ids, and kills what is left when the pipe closes. It also removes the folder of the run.
/// </summary>
internal sealed class Reaper : IDisposable
{
    private const string Watch = """
        trap '' INT TERM HUP
        pids=' ' mounts=
        while read -r what which; do
          case $what in
            born) pids="$pids$which " ;;
            gone) pids="${pids%% $which *} ${pids#* $which }" ;;
            mounted) mounts="$which $mounts" ;;
          esac
        done
        for pid in $pids; do kill -KILL "$pid"; done 2>/dev/null
        sleep 0.2
        for mount in $mounts; do umount -l "$mount"; done 2>/dev/null
        rm -rf "$0"
        """;

    private readonly Process shell;
    private readonly Lock gate = new();

    public Reaper()
    {
        Folder = Directory.CreateTempSubdirectory("chat-faults-").FullName;
        // PostgreSQL's account must be able to reach its own subfolder.
        File.SetUnixFileMode(Folder, (UnixFileMode)0b111_101_101);
        shell =
            Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Watch, Folder]) { RedirectStandardInput = true, WorkingDirectory = "/" })!;
    }

    /// <summary>The folder of this run, removed with all of its contents.</summary>
    public string Folder { get; }

    public void Born(int pid) => Say("born", pid.ToString(CultureInfo.InvariantCulture));

    public void Gone(int pid) => Say("gone", pid.ToString(CultureInfo.InvariantCulture));

    public void Mounted(string folder) => Say("mounted", folder);

    public void Dispose()
    {
        shell.StandardInput.Close();
        shell.WaitForExit();
        shell.Dispose();
    }

    private void Say(string what, string which)
    {
        lock (gate)
        {
            shell.StandardInput.WriteLine($"{what} {which}");
            shell.StandardInput.Flush();
        }
    }
}
