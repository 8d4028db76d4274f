using System.Globalization;
using Marten;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Tables;

namespace Chat.Storage;

/// <summary>A row of the journal: what one transaction has changed.</summary>
/// <param name="Transaction">The transaction's id.</param>
/// <param name="Conversations">The conversations.</param>
/// <param name="UpTo">The sequence number that each conversation has reached; empty if none got a new one.</param>
/// <param name="Users">The users whose membership, cursors or blocks have changed in these conversations.</param>
/// <param name="Cursor">The new cursors of the only user, if it was a cursor that has advanced.</param>
internal sealed record JournalEntry(ulong Transaction, Guid[] Conversations, long[] UpTo, Guid[] Users, CursorAdvance? Cursor);

/// <summary>Cursors that have advanced.</summary>
/// <param name="ReadAfter">The read cursor before.</param>
/// <param name="ReadUpTo">See <see cref="Member.ReadUpTo"/>.</param>
/// <param name="DeliveredUpTo">See <see cref="Member.DeliveredUpTo"/>.</param>
internal sealed record CursorAdvance(long ReadAfter, long ReadUpTo, long DeliveredUpTo);

/// <summary>
/// The journal: one row for each transaction that changed something which other nodes need to know. A node that reads on from
/// the snapshot of its last read sees each row exactly once, in whatever order the transactions commit; no sequence and no
/// timestamp can guarantee that.
/// </summary>
internal sealed class Journal(NpgsqlDataSource database, TableNames tables)
{
    private static readonly TimeSpan Retention = TimeSpan.FromHours(24);
    private const int MaxTrimmed = 5000;

    /// <summary>Returns the table for the schema. Appends write it inside <see cref="AppendFunction"/>.</summary>
    public static Table TableFor(TableNames tables)
    {
        var table = new Table(new PostgresqlObjectName(tables.Schema, "journal", SchemaUtils.IdentifierUsage.General));
        table.AddColumn("tx", "xid8").NotNull().DefaultValueByExpression("pg_current_xact_id()");
        table.AddColumn("at", "timestamp with time zone").NotNull().DefaultValueByExpression("now()");
        table.AddColumn("conversations", "uuid[]").NotNull();
        table.AddColumn("upto", "bigint[]").NotNull().DefaultValueByExpression("'{}'::bigint[]");
        table.AddColumn("users", "uuid[]").NotNull().DefaultValueByExpression("'{}'::uuid[]");
        table.AddColumn("read_after", "bigint");
        table.AddColumn("read_up_to", "bigint");
        table.AddColumn("delivered_up_to", "bigint");
        table.Indexes.Add(new IndexDefinition("journal_tx") { Columns = ["tx"] });
        return table;
    }

    /// <summary>Records with the session's next save that something about users has changed in a conversation.</summary>
    public void Record(IDocumentSession session, Guid conversationId, params Guid[] users) => session.QueueSqlCommand(
        $"insert into {tables.Journal} (conversations, users) values (?, ?)", (Guid[])[conversationId], users);

    /// <summary>Records with the session's next save that a member's cursors have advanced.</summary>
    public void RecordCursor(IDocumentSession session, Member before, Member after) => session.QueueSqlCommand(
        $"insert into {tables.Journal} (conversations, users, read_after, read_up_to, delivered_up_to) values (?, ?, ?, ?, ?)",
        (Guid[])[after.ConversationId], (Guid[])[after.UserId], before.ReadUpTo, after.ReadUpTo, after.DeliveredUpTo);

    /// <summary>Returns the current position: everything committed from now on is read after it.</summary>
    public async Task<DatabaseSnapshot> PositionAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select pg_current_snapshot()::text");
        return DatabaseSnapshot.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>Returns what was committed since a position, and the new position.</summary>
    public async Task<(DatabaseSnapshot Position, IReadOnlyList<JournalEntry> Entries)> ReadAsync(
        DatabaseSnapshot position, CancellationToken cancellationToken)
    {
        // One statement, because both parts must have the same snapshot.
        await using var command = database.CreateCommand($"""
            select pg_current_snapshot()::text, null, null, null, null, null, null, null
            union all
            select null, tx::text, conversations, upto, users, read_after, read_up_to, delivered_up_to
            from {tables.Journal} where tx >= $1::text::xid8 or tx = any($2::text[]::xid8[])
            """)
            .With($"{position.Xmax}")
            .WithColumn(position.InProgress, transaction => $"{transaction}");
        var entries = new List<JournalEntry>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (await reader.IsDBNullAsync(1, cancellationToken))
            {
                position = DatabaseSnapshot.Parse(reader.GetString(0));
                continue;
            }

            entries.Add(new JournalEntry(
                ulong.Parse(reader.GetString(1), CultureInfo.InvariantCulture),
                reader.GetFieldValue<Guid[]>(2), reader.GetFieldValue<long[]>(3), reader.GetFieldValue<Guid[]>(4),
                await reader.IsDBNullAsync(5, cancellationToken)
                    ? null : new CursorAdvance(reader.GetInt64(5), reader.GetInt64(6), reader.GetInt64(7))));
        }

        return (position, entries);
    }

    /// <summary>
    /// Deletes some of the rows that a dump has brought from another database, whose transaction ids are ahead of this one's: they
    /// would be read as new again and again.
    /// </summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> RemoveForeignAsync(CancellationToken cancellationToken)
    {
        // A row that is visible and yet in the future cannot have been written here.
        await using var command = database.CreateCommand($"""
            delete from {tables.Journal} where ctid in (
                select ctid from {tables.Journal} where tx >= pg_snapshot_xmax(pg_current_snapshot()) limit {MaxTrimmed})
            """);
        return await command.ExecuteNonQueryAsync(cancellationToken) >= MaxTrimmed;
    }

    /// <summary>Deletes some of the rows that have expired.</summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> TrimAsync(CancellationToken cancellationToken)
    {
        // By transaction, since only that column is indexed; older transactions have older rows, nearly enough.
        await using var command = database.CreateCommand($"""
            delete from {tables.Journal} where at < now() - $1
              and tx <= (select max(tx) from (select tx from {tables.Journal} order by tx limit {MaxTrimmed}) oldest)
            """).With(Retention);
        return await command.ExecuteNonQueryAsync(cancellationToken) >= MaxTrimmed;
    }
}
