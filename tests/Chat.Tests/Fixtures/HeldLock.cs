using Chat.Storage;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Fixtures;

/// <summary>
/// A transaction that holds a lock the server needs next: lets a test stop the log between two steps without sleeping, and
/// inspect the waiters.
/// </summary>
public sealed class HeldLock : IAsyncDisposable
{
    // Seconds. The connection is one of the server's, whose statement timeout is two.
    private static readonly int Timeout = (int)Eventually.Timeout.TotalSeconds;

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

    /// <summary>The transaction, for further statements.</summary>
    public NpgsqlTransaction Transaction => transaction;

    /// <summary>Begins a transaction that holds no lock yet.</summary>
    public static async Task<HeldLock> Begin(ChatApp app)
    {
        var connection = await app.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        // Unlike the server's transactions, a test's may take long.
        await using (var command = new NpgsqlCommand(
            "set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0", connection, transaction))
            await command.ExecuteNonQueryAsync();
        return new HeldLock(app, connection, transaction);
    }

    /// <summary>Locks the head of a conversation: nothing can be stored there.</summary>
    public static async Task<HeldLock> OfHead(ChatApp app, Guid conversation)
    {
        var held = await Begin(app);
        await held.LockHead(conversation);
        return held;
    }

    /// <summary>Runs a statement in the transaction.</summary>
    public async Task Execute(string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = Timeout };
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Locks the head of a conversation, after the current holder.</summary>
    public async Task LockHead(Guid conversation)
    {
        await using var command = new NpgsqlCommand(
            $"select id from {app.Services.GetRequiredService<TableNames>().ConversationHead} where id = $1 for update",
            connection)
        { CommandTimeout = Timeout };
        command.Parameters.Add(new() { Value = conversation });
        Assert.NotNull(await command.ExecuteScalarAsync());
    }

    /// <summary>Returns when this many others wait for this transaction.</summary>
    public Task IsWaitedFor(int by = 1) => Eventually.Until($"{by} wait for the lock", () => Waiting().Count == by);

    /// <summary>Returns how many others wait for this transaction.</summary>
    public int WaitingNow => Waiting().Count;

    /// <summary>Returns whether anyone waits for the waiters of this transaction.</summary>
    public bool IsWaitedForInTurn()
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            "select exists (select from pg_stat_activity where pg_blocking_pids(pid) && $1)");
        command.Parameters.Add(new() { Value = Waiting().ToArray() });
        return (bool)command.ExecuteScalar()!;
    }

    /// <summary>Returns when this transaction has to wait itself.</summary>
    public Task Waits() => Eventually.Until("the transaction waits", () =>
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            $"select cardinality(pg_blocking_pids({connection.ProcessID}))");
        return (int)command.ExecuteScalar()! > 0;
    });

    /// <summary>Terminates the connections of the waiters.</summary>
    public void BreakWaiting()
    {
        using var command = app.Services.GetRequiredService<NpgsqlDataSource>()
            .CreateCommand("select bool_and(pg_terminate_backend(pid)) from unnest($1) pid");
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
