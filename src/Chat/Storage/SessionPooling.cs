using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Whether each connection of ours keeps a session of PostgreSQL's for as long as it lives, which prepared statements, locks and
/// time-outs rely on. A pooler like PgBouncer may give the session to somebody else after each transaction.
/// </summary>
internal static class SessionPooling
{
    private const int MostOthers = 3;

    /// <summary>Whether this connection gets another session while others are busy with theirs.</summary>
    /// <param name="connection">An open one.</param>
    /// <param name="database">Opens the others.</param>
    public static async Task<bool> IsByTransactionAsync(NpgsqlConnection connection, NpgsqlDataSource database)
    {
        var session = await ProcessIdAsync(connection);
        // Told at the connect by whoever answered there: PostgreSQL itself, mostly, and then nobody is in between.
        if (session == connection.ProcessID)
            return false;
        var others = new List<NpgsqlConnection>();
        try
        {
            // A pooler hands out what was given back last: the first of these most likely gets ours, if it was given back.
            while (others.Count < Math.Min(MostOthers, new NpgsqlConnectionStringBuilder(database.ConnectionString).MaxPoolSize - 1))
            {
                try
                {
                    others.Add(await database.OpenConnectionAsync());
                }
                catch (NpgsqlException)
                {
                    // It has no more of them for us, which is no answer.
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
            // Transactions are refused, or one's own session is waited for.
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
