using Chat.Hosting;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Storage;

/// <summary>PostgreSQL enforces timeouts for statements and idle transactions.</summary>
public sealed class StatementTimeoutTests
{
    private const string Cancelled = "57014", IdleInTransaction = "25P03";

    [Fact]
    public async Task PostgreSQL_ends_long_statements_and_idle_transactions()
    {
        await using var database =
            NpgsqlDataSource.Create(StorageRegistration.Tune($"{(await TestServers.Get()).Postgres};Command Timeout=1"));
        for (var use = 1; use <= 2; use++)
        {
            // The second time on the same connection, which the pool has reset.
            await using var connection = await database.OpenConnectionAsync();
            await using var endless = new NpgsqlCommand("select pg_sleep(60)", connection) { CommandTimeout = 0 };
            var ended = await Assert.ThrowsAsync<PostgresException>(() => endless.ExecuteNonQueryAsync());
            Assert.Equal(Cancelled, ended.SqlState);
            Assert.True(DatabaseFailure.IsUnavailable(ended));
        }

        await using var holder = await database.OpenConnectionAsync();
        await using var transaction = await holder.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand(
            "select pg_advisory_xact_lock(7, $1)", holder, transaction)
        { Parameters = { new() { Value = Environment.ProcessId } } })
            await hold.ExecuteNonQueryAsync();

        // The waiter for the idle transaction's lock gets it.
        await Eventually.Until("the lock is free", () =>
        {
            using var take = database.CreateCommand($"select pg_try_advisory_lock(7, {Environment.ProcessId})");
            return (bool)take.ExecuteScalar()!;
        });
        var lost =
            await Assert.ThrowsAsync<PostgresException>(() => new NpgsqlCommand("select 1", holder, transaction).ExecuteScalarAsync());
        Assert.Equal(IdleInTransaction, lost.SqlState);
    }

    [Fact]
    public void Configured_options_are_kept_and_commands_have_no_timeout()
    {
        Assert.Equal("-c statement_timeout=4s -c idle_in_transaction_session_timeout=4s -c jit=off",
            new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here")).Options);
        Assert.Equal("-c statement_timeout=0",
            new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here;Options=-c statement_timeout=0")).Options);

        var forCommand = new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here;Command Timeout=4", forCommand: true));
        Assert.Equal(0, forCommand.CommandTimeout);
        Assert.True(string.IsNullOrEmpty(forCommand.Options));
    }
}
