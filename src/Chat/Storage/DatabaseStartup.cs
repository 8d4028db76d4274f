using System.Net.Sockets;
using Chat.Hosting;
using Marten;
using Npgsql;
using Weasel.Core.Migrations;

namespace Chat.Storage;

/// <summary>
/// Checks the database before the server starts: reachable, accepting our login, and with this version's schema. Containers
/// start in any order, so it waits for a PostgreSQL that is not up yet.
/// </summary>
internal sealed partial class DatabaseStartup(
    NpgsqlDataSource database, IDocumentStore store, IConfiguration configuration, TimeProvider time, ILogger<DatabaseStartup> log)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);
    private readonly TimeSpan timeout = configuration.GetValue("Storage:StartTimeout", TimeSpan.FromSeconds(30));

    /// <summary>Returns once PostgreSQL accepts a connection, with a session of its own.</summary>
    /// <exception cref="StartupException">It rejects us, is not reachable in time, or is behind a transaction pooler.</exception>
    public async Task WaitAsync()
    {
        var isLogged = false;
        for (var startedAt = time.GetTimestamp(); ; await Task.Delay(RetryDelay, time))
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync();
                if (await SessionPooling.IsByTransactionAsync(connection, database))
                    throw new StartupException(
                        $"The pooler at {Address} uses transaction pooling, with which most statements would fail. Set pool_mode = session in PgBouncer, or connect to PostgreSQL directly.");
                return;
            }
            catch (NpgsqlException rejected) when (!rejected.IsTransient)
            {
                throw new StartupException(
                    $"PostgreSQL at {Address} rejects the connection: {OneLine(rejected)} Check ConnectionStrings__Postgres.", rejected);
            }
            catch (Exception unavailable) when (unavailable is NpgsqlException or SocketException or TimeoutException)
            {
                var elapsed = time.GetElapsedTime(startedAt);
                if (elapsed >= timeout)
                    throw new StartupException(
                        $"PostgreSQL at {Address} did not answer within {timeout.TotalSeconds:0} s: {OneLine(unavailable)} Check ConnectionStrings__Postgres.", unavailable);
                if (!isLogged)
                    Waiting(Address, OneLine(unavailable), timeout.TotalSeconds);
                isLogged = true;
            }
        }
    }

    /// <summary>Returns if the schema is the one of this version.</summary>
    /// <exception cref="StartupException">It is missing or of another version.</exception>
    public async Task CheckSchemaAsync()
    {
        try
        {
            await store.Storage.Database.AssertDatabaseMatchesConfigurationAsync();
        }
        catch (DatabaseValidationException stale)
        {
            throw new StartupException(
                $"The schema {store.Options.DatabaseSchemaName} is missing or not of this version: run \"dotnet Chat.dll db-apply\" with the same settings, then start again.", stale);
        }
    }

    /// <summary>Logs a warning if PostgreSQL's settings allow it to lose commits.</summary>
    public async Task WarnIfCommitsCanBeLostAsync()
    {
        if (await UnsafeSettingsAsync(database) is { } setting)
            LosesCommits(setting);
    }

    /// <summary>
    /// Returns the settings with which PostgreSQL may lose acknowledged messages in a power failure; null if there are none.
    /// </summary>
    public static async Task<string?> UnsafeSettingsAsync(NpgsqlDataSource database, CancellationToken cancellationToken = default)
    {
        await using var command = database.CreateCommand(
            "select string_agg(name, ' and ' order by name) from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off'");
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }

    private string Address => new NpgsqlConnectionStringBuilder(database.ConnectionString) is var connection
        ? $"{connection.Host}:{connection.Port}"
        : "";

    private static string OneLine(Exception failure)
    {
        var text = (failure as PostgresException)?.MessageText ?? $"{failure.Message} ({failure.InnerException?.Message})";
        return text.ReplaceLineEndings(" ").Replace(" ()", "", StringComparison.Ordinal).TrimEnd('.') + ".";
    }

    [LoggerMessage(103, LogLevel.Warning,
        "PostgreSQL runs with {Setting} off: a power failure may lose acknowledged messages; readiness reports degraded")]
    private partial void LosesCommits(string setting);

    [LoggerMessage(104, LogLevel.Warning, "PostgreSQL at {Address} does not answer yet ({Reason}); waiting at most {Seconds} s")]
    private partial void Waiting(string address, string reason, double seconds);
}
