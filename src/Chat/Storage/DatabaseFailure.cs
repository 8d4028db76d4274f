using System.Net.Sockets;
using Npgsql;

namespace Chat.Storage;

/// <summary>Tells a database that is away or overloaded from a fault in what it was asked.</summary>
internal static class DatabaseFailure
{
    /// <summary>
    /// Whether the same request may well succeed later. Looks through the wrappers that Marten and the retry policy
    /// put around the driver's exception.
    /// </summary>
    public static bool IsUnavailable(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            // Of what PostgreSQL itself reports, classes 53 (out of resources, disk full among them), 57 (shut down,
            // cancelled by a time-out) and 58 (system error) speak of its state and not of the statement.
            if (failure is PostgresException { SqlState: var state })
                return state[..2] is "53" or "57" or "58" or "08" or "25";
            if (failure is NpgsqlException or SocketException or TimeoutException)
                return true;
        }

        return false;
    }
}
