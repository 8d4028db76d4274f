using System.Diagnostics;

namespace Chat.Embedded;

/// <summary>
/// Ties PostgreSQL's lifetime to this process. A small shell starts it, reads from a pipe whose other end only we hold, and stops
/// it when the pipe closes: because we close it, or because this process has ended, killed or not. Both ignore signals until
/// then, so that after Ctrl-C (which a terminal sends to the whole process group) the server still has its database while it
/// drains.
/// </summary>
internal sealed class PostgresWatchdog
{
    /// <summary>
    /// Leaves our process tree and, if setsid is available, our process group: whoever kills those (a debugger, a test runner, a
    /// timeout) must not kill the watchdog with them. The pipe is passed as descriptor 3, because a shell gives background
    /// processes an empty standard input.
    /// </summary>
    private const string Detach = """
        exec 3<&0
        $(command -v setsid) /bin/sh -c "$0" "$@" 2>/dev/null &
        """;

    /// <summary>
    /// Ignores SIGPIPE because this process may be gone when it reports. Stops only the PostgreSQL that it started, by process id: on
    /// a busy machine the next server may have started one on the same folder by then.
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

    /// <summary>Longer than both ways to stop take in the worst case.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromMinutes(2.5);

    private readonly Process shell;

    private PostgresWatchdog(Process shell) => this.shell = shell;

    /// <summary>Starts PostgreSQL under a watchdog.</summary>
    /// <param name="account">The account that runs them.</param>
    /// <param name="pgCtl">The program that starts and stops PostgreSQL.</param>
    /// <param name="cluster">The data directory.</param>
    /// <param name="options">PostgreSQL's command line.</param>
    /// <param name="remove">A folder to remove once it has stopped; empty for none.</param>
    /// <param name="cancellation">Cancels the start and stops PostgreSQL.</param>
    /// <returns>Null if PostgreSQL did not start; its log has the reason.</returns>
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

    /// <summary>Closes the pipe and waits until PostgreSQL has stopped, when the watchdog closes its output.</summary>
    public async Task Stop()
    {
        shell.StandardInput.Close();
        // By the system clock: there is no TimeProvider before the host is built, and PostgreSQL uses it, too.
        await shell.StandardOutput.ReadToEndAsync().WaitAsync(StopTimeout);
        shell.Dispose();
    }
}
