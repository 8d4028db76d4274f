using Chat.Telemetry;
using Npgsql;

namespace Chat.Hosting;

/// <summary>Distinguishes an unavailable, overloaded or inaccessible database from an invalid statement.</summary>
internal static class DatabaseFailure
{
    private const int MaxReason = 200;

    /// <summary>
    /// Whether the same request may succeed later. Unwraps the exceptions that Marten and the retry policy put around the
    /// driver's.
    /// </summary>
    public static bool IsUnavailable(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            if (failure is PostgresException { SqlState: var state })
                return IsOperational(state);
            // A bare SocketException belongs to another connection, such as a client's.
            if (failure is NpgsqlException or TimeoutException)
                return true;
        }

        return false;
    }

    /// <summary>Records a failure for which <see cref="IsUnavailable"/> holds.</summary>
    public static void Failed(this DependencyState postgres, Exception failure, int refusedSends = 0, int refusedOthers = 0) =>
        postgres.Failed(ReasonOf(failure), IsRefusal(failure), refusedSends, refusedOthers);

    /// <summary>Describes the failure in one line: PostgreSQL's message with its SQLSTATE, or the driver's.</summary>
    public static string ReasonOf(Exception failure)
    {
        var reported = ReportedBy(failure);
        var text = reported is not null
            ? $"{reported.MessageText} ({reported.SqlState})"
            : failure.InnerException is { } inner && !failure.Message.Contains(inner.Message, StringComparison.Ordinal)
            ? $"{failure.Message}: {inner.Message}" : failure.Message;
        text = text.ReplaceLineEndings(" ");
        return text.Length <= MaxReason ? text : $"{text[..MaxReason]}…";
    }

    /// <summary>
    /// Whether PostgreSQL answered and rejects us for a reason that an operator must fix: login, privileges, role, disk space or
    /// connection limit.
    /// </summary>
    public static bool IsRefusal(Exception failure) =>
        ReportedBy(failure) is { SqlState: var state }
            && (state[..2] is "28" or "3D" or "3F" or "53" or "F0" || state is "42501" or "25006");

    /// <summary>
    /// Whether an SQLSTATE is about PostgreSQL's state or administration, not about the statement (28 and 3D: login and database,
    /// 42501: privileges, 25: a standby, 53: resources, full disks included, 55: in use or locked, 57: shut down or cancelled, 58
    /// and F0: the system and its files).
    /// </summary>
    private static bool IsOperational(string state) =>
        state[..2] is "08" or "25" or "28" or "3D" or "3F" or "53" or "55" or "57" or "58" or "F0"
            || state == PostgresErrorCodes.InsufficientPrivilege;

    /// <summary>Returns the error that PostgreSQL reported, unwrapped; null if it was not PostgreSQL's.</summary>
    public static PostgresException? ReportedBy(Exception? failure)
    {
        while (failure is not (null or PostgresException))
            failure = failure.InnerException;
        return failure as PostgresException;
    }
}
