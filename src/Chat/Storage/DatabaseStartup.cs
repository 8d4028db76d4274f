using System.Net.Sockets;
using Chat.Hosting;
using Marten;
using Npgsql;
using Weasel.Core.Migrations;

namespace Chat.Storage;

/// <summary>
/// What the database must be like before the server starts: there, letting us in, and with the schema of this
/// version. Containers start in any order, so a PostgreSQL that does not answer yet is waited for.
/// </summary>
internal sealed partial class DatabaseStartup(NpgsqlDataSource database, IDocumentStore store, IConfiguration configuration, TimeProvider time, ILogger<DatabaseStartup> log)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);
    private readonly TimeSpan patience = configuration.GetValue("Storage:StartTimeout", TimeSpan.FromSeconds(30));

    /// <summary>Returns when PostgreSQL lets us in, each connection with a session of its own.</summary>
    /// <exception cref="StartupException">It refuses us, does not answer in time, or is behind a pooler that shares sessions.</exception>
    public async Task WaitAsync()
    {
        var isSaid = false;
        for (var began = time.GetTimestamp(); ; await Task.Delay(RetryDelay, time))
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync();
                if (await SessionPooling.IsByTransactionAsync(connection, database))
                    throw new StartupException($"The pooler at {Address} shares PostgreSQL's sessions by transaction, and most statements would fail. Give PgBouncer pool_mode = session, or connect to PostgreSQL itself.");
                return;
            }
            catch (NpgsqlException refused) when (!refused.IsTransient)
            {
                throw new StartupException($"PostgreSQL at {Address} refuses us: {OneLine(refused)} Check ConnectionStrings__Postgres.", refused);
            }
            catch (Exception away) when (away is NpgsqlException or SocketException or TimeoutException)
            {
                var waited = time.GetElapsedTime(began);
                if (waited >= patience)
                    throw new StartupException($"PostgreSQL at {Address} did not answer for {patience.TotalSeconds:0} s: {OneLine(away)} Check ConnectionStrings__Postgres.", away);
                if (!isSaid)
                    Waiting(Address, OneLine(away), patience.TotalSeconds);
                isSaid = true;
            }
        }
    }

    /// <summary>Returns if the schema is the one that this version works with.</summary>
    /// <exception cref="StartupException">It is missing or another one.</exception>
    public async Task CheckSchemaAsync()
    {
        try
        {
            await store.Storage.Database.AssertDatabaseMatchesConfigurationAsync();
        }
        catch (DatabaseValidationException stale)
        {
            throw new StartupException($"The schema {store.Options.DatabaseSchemaName} is missing or not of this version: run \"dotnet Chat.dll db-apply\" with the same settings, then start again.", stale);
        }
    }

    /// <summary>Says so if PostgreSQL is set up to lose what it has confirmed.</summary>
    public async Task WarnIfCommitsCanBeLostAsync()
    {
        if (await LosesAsync(database) is { } setting)
            LosesCommits(setting);
    }

    /// <summary>The setting with which PostgreSQL may lose, at a power cut, what was acknowledged; null if there is none.</summary>
    public static async Task<string?> LosesAsync(NpgsqlDataSource database, CancellationToken cancellationToken = default)
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

    [LoggerMessage(103, LogLevel.Warning, "PostgreSQL runs with {Setting} off: a power cut may lose messages that were acknowledged. Readiness says degraded")]
    private partial void LosesCommits(string setting);

    [LoggerMessage(104, LogLevel.Warning, "PostgreSQL at {Address} does not answer yet ({Reason}); waiting for it, at most {Seconds} s")]
    private partial void Waiting(string address, string reason, double seconds);
}
