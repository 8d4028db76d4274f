using System.Diagnostics;

namespace Chat.Embedded;

/// <summary>
/// Runs PostgreSQL for exactly as long as this process lives. A small shell starts it, reads from a pipe that only we
/// hold the other end of, and stops it when the pipe closes: because we close it, or because we are gone, killed or
/// not. Until then signals do not reach either of them, so that after Ctrl-C (which a terminal sends to every process)
/// the server still has its database while it drains.
/// </summary>
internal sealed class PostgresWatchdog
{
    /// <summary>
    /// Leaves our process tree and, where setsid is there, our process group: whoever kills those (a debugger, a test
    /// runner, a time-out) must not kill the watchdog with them. The pipe comes along as descriptor 3, because a shell
    /// gives its background processes an empty standard input.
    /// </summary>
    private const string Detach = """
        exec 3<&0
        $(command -v setsid) /bin/sh -c "$0" "$@" 2>/dev/null &
        """;

    /// <summary>
    /// PIPE is among the ignored signals because we may be gone when it reports. It stops the one that it has started, by
    /// its process id: on a busy machine the next server may have one on the same folder by then.
    /// </summary>
    private const string Watch = """
        trap '' INT HUP TERM PIPE
        pg_ctl=$0 data=$1 log=$2 options=$3 remove=$4
        if message=$("$pg_ctl" start -D "$data" -l "$log" -o "$options" -s -t 120 2>&1 </dev/null 3<&-); then
            own() { read -r pid <"$data/postmaster.pid" && echo "$pid"; } 2>/dev/null
            started=$(own)
            echo ready
            while read -r _ <&3; do :; done
            [ "$(own)" = "$started" ] && kill -INT "$started"
            tenths=0
            while kill -0 "$started" 2>/dev/null && [ "$(own)" = "$started" ] && [ $tenths -lt 700 ]; do
                sleep 0.1
                tenths=$((tenths + 1))
                [ $tenths -ne 600 ] || kill -QUIT "$started"
            done
            [ -z "$remove" ] || rm -rf "$remove"
        else
            echo "$message"
        fi
        """;

    /// <summary>Longer than the two ways to stop take together at worst.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromMinutes(2.5);

    private readonly Process shell;

    private PostgresWatchdog(Process shell) => this.shell = shell;

    /// <summary>Starts PostgreSQL under a watchdog.</summary>
    /// <param name="account">Who runs them.</param>
    /// <param name="pgCtl">The program that starts and stops PostgreSQL.</param>
    /// <param name="cluster">Its files.</param>
    /// <param name="options">Its command line.</param>
    /// <param name="remove">A folder to remove once it has stopped; empty for none.</param>
    /// <param name="cancellation">Ends the wait, and with it PostgreSQL.</param>
    /// <returns>Null if PostgreSQL did not start: the log has the reason.</returns>
    public static async Task<PostgresWatchdog?> Start(
        ServiceAccount account, string pgCtl, PostgresCluster cluster, string options, string remove, CancellationToken cancellation)
    {
        var command = account.Command("/bin/sh", "-c", Detach, Watch, pgCtl, cluster.Data, cluster.Log, options, remove);
        command.RedirectStandardInput = command.RedirectStandardOutput = true;

        var watchdog = new PostgresWatchdog(Process.Start(command)!);
        try
        {
            if (await watchdog.shell.StandardOutput.ReadLineAsync(cancellation) == "ready")
                return watchdog;
        }
        catch (OperationCanceledException)
        {
            await watchdog.Stop();
            throw;
        }

        await watchdog.Stop();
        return null;
    }

    /// <summary>Closes the pipe and waits until PostgreSQL has stopped, which is when the watchdog closes its output.</summary>
    public async Task Stop()
    {
        shell.StandardInput.Close();
        // By the system's clock: there is no other one before the host is built, and PostgreSQL goes by it, too.
        await shell.StandardOutput.ReadToEndAsync().WaitAsync(StopLimit);
        shell.Dispose();
    }
}
