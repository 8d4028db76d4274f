using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Detects a pooler like PgBouncer in transaction mode, which may give a session to another client after each transaction.
/// Prepared statements, locks and timeouts rely on a session for the lifetime of the connection.
/// </summary>
internal static class SessionPooling
{
    private const int MaxOthers = 3;

    /// <summary>Whether this connection gets another session while others are busy.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="database">Opens further connections.</param>
    public static async Task<bool> IsByTransactionAsync(NpgsqlConnection connection, NpgsqlDataSource database)
    {
        var session = await ProcessIdAsync(connection);
        // The backend's own process id was reported at connect: there is no pooler.
        if (session == connection.ProcessID)
            return false;
        var others = new List<NpgsqlConnection>();
        try
        {
            // A pooler reuses the session released last, so one of these most likely gets ours, if it was released.
            while (others.Count < Math.Min(MaxOthers, new NpgsqlConnectionStringBuilder(database.ConnectionString).MaxPoolSize - 1))
            {
                try
                {
                    others.Add(await database.OpenConnectionAsync());
                }
                catch (NpgsqlException)
                {
                    // Out of connections, which proves nothing.
                    return false;
                }

                await others[^1].BeginTransactionAsync();
                await ProcessIdAsync(others[^1]);
                if (await ProcessIdAsync(connection) != session)
                    return true;
            }

            return false;
        }
        catch (NpgsqlException)
        {
            // Transactions are refused, or wait for one's own session.
            return true;
        }
        finally
        {
            foreach (var other in others)
                await other.DisposeAsync();
        }
    }

    private static async Task<int> ProcessIdAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync())!;
    }
}
