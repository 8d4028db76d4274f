using Chat.Storage;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Fixtures;

/// <summary>
/// A transaction beside the server's that holds what the server wants next: how a test stops the log between two
/// steps without a sleep, and looks at who waits.
/// </summary>
public sealed class HeldLock : IAsyncDisposable
{
    // In seconds. The connection is one of the server's, whose statements have two.
    private static readonly int Patience = (int)Eventually.Patience.TotalSeconds;

    private readonly ChatApp app;
    private readonly NpgsqlConnection connection;
    private readonly NpgsqlTransaction transaction;

    private HeldLock(ChatApp app, NpgsqlConnection connection, NpgsqlTransaction transaction)
    {
        this.app = app;
        this.connection = connection;
        this.transaction = transaction;
    }

    /// <summary>The server whose database this is.</summary>
    public ChatApp App => app;

    /// <summary>The transaction, for what else it is to do before it ends.</summary>
    public NpgsqlTransaction Transaction => transaction;

    /// <summary>A transaction that holds nothing yet.</summary>
    public static async Task<HeldLock> Begin(ChatApp app)
    {
        var connection = await app.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        // A test may take its time; the server's own transactions may not.
        await using (var command = new NpgsqlCommand("set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0", connection, transaction))
            await command.ExecuteNonQueryAsync();
        return new HeldLock(app, connection, transaction);
    }

    /// <summary>Holds the head of a conversation: nothing can be stored there.</summary>
    public static async Task<HeldLock> OfHead(ChatApp app, Guid conversation)
    {
        var held = await Begin(app);
        await held.LockHead(conversation);
        return held;
    }

    /// <summary>Runs a statement in the transaction.</summary>
    public async Task Execute(string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = Patience };
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Takes the head of a conversation, behind whoever holds it.</summary>
    public async Task LockHead(Guid conversation)
    {
        await using var command = new NpgsqlCommand(
            $"select id from {app.Services.GetRequiredService<TableNames>().ConversationHead} where id = $1 for update", connection) { CommandTimeout = Patience };
        command.Parameters.Add(new() { Value = conversation });
        Assert.NotNull(await command.ExecuteScalarAsync());
    }

    /// <summary>Returns when so many others wait for this transaction.</summary>
    public Task IsWaitedFor(int by = 1) => Eventually.Holds($"{by} wait for the lock", () => Waiting().Count == by);

    /// <summary>How many others wait for this transaction just now.</summary>
    public int WaitingNow => Waiting().Count;

    /// <summary>Whether somebody waits for those who wait for this transaction.</summary>
    public bool IsWaitedForInTurn()
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            "select exists (select from pg_stat_activity where pg_blocking_pids(pid) && $1)");
        command.Parameters.Add(new() { Value = Waiting().ToArray() });
        return (bool)command.ExecuteScalar()!;
    }

    /// <summary>Returns when this transaction itself has to wait.</summary>
    public Task Waits() => Eventually.Holds("the transaction waits", () =>
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            $"select cardinality(pg_blocking_pids({connection.ProcessID}))");
        return (int)command.ExecuteScalar()! > 0;
    });

    /// <summary>Breaks the connections of those who wait for this transaction.</summary>
    public void BreakWaiting()
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand("select bool_and(pg_terminate_backend(pid)) from unnest($1) pid");
        command.Parameters.Add(new() { Value = Waiting().ToArray() });
        Assert.Equal(true, command.ExecuteScalar());
    }

    public Task Commit() => transaction.CommitAsync();

    public Task Release() => transaction.RollbackAsync();

    public async ValueTask DisposeAsync()
    {
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }

    private List<int> Waiting()
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            $"select pid from pg_stat_activity where {connection.ProcessID} = any(pg_blocking_pids(pid))");
        using var reader = command.ExecuteReader();
        var waiting = new List<int>();
        while (reader.Read())
            waiting.Add(reader.GetInt32(0));
        return waiting;
    }
}
