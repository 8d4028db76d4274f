using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Storage;

/// <summary>The journal is read exactly once, whatever order transactions commit in.</summary>
public sealed class JournalTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly NpgsqlDataSource database = shared.App.Services.GetRequiredService<NpgsqlDataSource>();
    private readonly Journal journal = shared.App.Services.GetRequiredService<Journal>();
    private readonly TableNames tables = shared.App.Services.GetRequiredService<TableNames>();

    [Fact]
    public async Task A_transaction_that_commits_after_a_later_one_is_read_once_when_it_has_committed()
    {
        var (slow, fast) = (Guid.NewGuid(), Guid.NewGuid());
        var start = await journal.PositionAsync(default);
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await WriteAsync(connection, slow);
        await using (var other = await database.OpenConnectionAsync())
            await WriteAsync(other, fast);

        var (during, first) = await journal.ReadAsync(start, default);
        var (_, again) = await journal.ReadAsync(during, default);
        await transaction.CommitAsync();
        var (after, second) = await journal.ReadAsync(during, default);
        var (_, third) = await journal.ReadAsync(after, default);

        Assert.Equal([fast], Of(first, slow, fast));
        Assert.Empty(Of(again, slow, fast));
        Assert.Equal([slow], Of(second, slow, fast));
        Assert.Empty(Of(third, slow, fast));
    }

    [Fact]
    public async Task A_transaction_that_rolls_back_is_never_read()
    {
        var conversation = Guid.NewGuid();
        var start = await journal.PositionAsync(default);
        await using (var connection = await database.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await WriteAsync(connection, conversation);
            await transaction.RollbackAsync();
        }

        Assert.Empty(Of((await journal.ReadAsync(start, default)).Entries, conversation));
    }

    [Fact]
    public async Task A_snapshot_includes_what_had_committed()
    {
        var (slow, fast, late) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        var start = await journal.PositionAsync(default);
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await WriteAsync(connection, slow);
        await using var other = await database.OpenConnectionAsync();
        await WriteAsync(other, fast);
        var snapshot = await journal.PositionAsync(default);
        await transaction.CommitAsync();
        await WriteAsync(other, late);

        var entries = (await journal.ReadAsync(start, default)).Entries;

        Assert.True(snapshot.Includes(entries.Single(entry => entry.Conversations[0] == fast).Transaction));
        Assert.False(snapshot.Includes(entries.Single(entry => entry.Conversations[0] == slow).Transaction));
        Assert.False(snapshot.Includes(entries.Single(entry => entry.Conversations[0] == late).Transaction));
    }

    [Fact]
    public async Task Rows_that_a_dump_brought_from_another_database_are_removed()
    {
        var (foreign, own) = (Guid.NewGuid(), Guid.NewGuid());
        await using var connection = await database.OpenConnectionAsync();
        await WriteAsync(connection, own);
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(
            connection, $"insert into {tables.Journal} (tx, conversations) values ('9000000000000000000', array['{foreign}'::uuid])");
        await transaction.CommitAsync();

        while (await journal.RemoveForeignAsync(default))
            ;

        Assert.Equal(0, await CountAsync(foreign));
        Assert.Equal(1, await CountAsync(own));
    }

    [Fact]
    public async Task Rows_are_kept_for_a_day()
    {
        var (old, recent) = (Guid.NewGuid(), Guid.NewGuid());
        await using var connection = await database.OpenConnectionAsync();
        await ExecuteAsync(connection, $"""
            insert into {tables.Journal} (tx, at, conversations) values
              ('1', now() - interval '25 hours', array['{old}'::uuid]), ('1', now() - interval '23 hours', array['{recent}'::uuid])
            """);

        while (await journal.TrimAsync(default))
            ;

        Assert.Equal(0, await CountAsync(old));
        Assert.Equal(1, await CountAsync(recent));
    }

    private Task WriteAsync(NpgsqlConnection connection, Guid conversation) =>
        ExecuteAsync(connection, $"insert into {tables.Journal} (conversations) values (array['{conversation}'::uuid])");

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<long> CountAsync(Guid conversation)
    {
        await using var command = database.CreateCommand($"select count(*) from {tables.Journal} where '{conversation}' = any(conversations)");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static IEnumerable<Guid> Of(IReadOnlyList<JournalEntry> entries, params Guid[] mine) =>
        entries.SelectMany(entry => entry.Conversations).Intersect(mine);
}
