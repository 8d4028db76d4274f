using Chat.Telemetry;
using Npgsql;

namespace Chat.Hosting;

/// <summary>Tells a database that is unavailable, overloaded or not open to us from a fault in what it was asked.</summary>
internal static class DatabaseFailure
{
    private const int MaxReason = 200;

    /// <summary>
    /// Whether the same request may well succeed later. Looks through the wrappers that Marten and the retry policy
    /// put around the driver's exception.
    /// </summary>
    public static bool IsUnavailable(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            if (failure is PostgresException { SqlState: var state })
                return IsOperators(state);
            // A SocketException of its own is some other connection's, a client's, say.
            if (failure is NpgsqlException or TimeoutException)
                return true;
        }

        return false;
    }

    /// <summary>Counts a failure that <see cref="IsUnavailable"/> is true of.</summary>
    public static void Failed(this DependencyState postgres, Exception failure, int refusedSends = 0, int refusedOthers = 0) =>
        postgres.Failed(ReasonOf(failure), IsRefusal(failure), refusedSends, refusedOthers);

    /// <summary>What PostgreSQL said, with its SQLSTATE, or how it did not answer; in one line.</summary>
    public static string ReasonOf(Exception failure)
    {
        var said = ReportedBy(failure);
        var text = said is not null
            ? $"{said.MessageText} ({said.SqlState})"
            : failure.InnerException is { } inner && !failure.Message.Contains(inner.Message, StringComparison.Ordinal) ? $"{failure.Message}: {inner.Message}" : failure.Message;
        text = text.ReplaceLineEndings(" ");
        return text.Length <= MaxReason ? text : $"{text[..MaxReason]}…";
    }

    /// <summary>Whether PostgreSQL answered and lets us not do what we must: a login, a right, a role, a disk, a connection too many, for an operator to see to.</summary>
    public static bool IsRefusal(Exception failure) =>
        ReportedBy(failure) is { SqlState: var state } && (state[..2] is "28" or "3D" or "3F" or "53" or "F0" || state is "42501" or "25006");

    /// <summary>
    /// Of what PostgreSQL itself reports, the classes that speak of its state, or of what somebody who runs it has done
    /// (28 and 3D: login and database, 42501: rights, 25: a standby, 53: resources, disk full among them, 55: in use or locked,
    /// 57: shut down or cancelled, 58 and F0: the system and its files), and not of the statement.
    /// </summary>
    private static bool IsOperators(string state) =>
        state[..2] is "08" or "25" or "28" or "3D" or "3F" or "53" or "55" or "57" or "58" or "F0" || state == PostgresErrorCodes.InsufficientPrivilege;

    /// <summary>What PostgreSQL itself reported, whatever is around it; null if it was something else.</summary>
    public static PostgresException? ReportedBy(Exception? failure)
    {
        while (failure is not (null or PostgresException))
            failure = failure.InnerException;
        return failure as PostgresException;
    }
}
