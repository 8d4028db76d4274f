using JasperFx;
using Marten;
using Npgsql;

namespace Chat.Storage;

/// <summary>The one document that names the lineage of a database; a restored backup gets another epoch.</summary>
internal sealed record LineageDocument
{
    public static readonly Guid TheOne = new("6c696e65-6167-8000-8000-000000000001");

    public Guid Id { get; init; } = TheOne;

    public required Guid Epoch { get; init; }

    /// <summary>Where it was written; see <see cref="Lineage"/>. Null in one that is older than this field.</summary>
    public string? Origin { get; init; }
}

/// <summary>
/// The lineage of the database that this node serves. Clients drop their numbers when they see another epoch,
/// because numbers given after a backup was taken are given once more after it is restored.
/// </summary>
/// <remarks>
/// The epoch is in the backup, too, so what is stored beside it is where it was written: the installation of
/// PostgreSQL, its timeline, which every recovery to a point in time and every promotion of a standby begins anew, and
/// the table, which a restored dump makes anew. Where that is no longer so, these are other data under the old name.
/// A copy of the files that is simply started in place of the original is in no way different from it: whoever restores
/// like this deletes the document.
/// </remarks>
internal sealed class Lineage(IDocumentStore store, NpgsqlDataSource database, Tables tables) : IHostedService
{
    public Guid Epoch { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            Epoch = await FindAsync(cancellationToken);
        }
        catch (DocumentAlreadyExistsException)
        {
            // Several nodes start on a new database at once: the first one has named the lineage for all.
            Epoch = await FindAsync(cancellationToken);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task<Guid> FindAsync(CancellationToken cancellationToken)
    {
        var origin = await OriginAsync(cancellationToken);
        await using var session = store.LightweightSession();
        await session.BeginTransactionAsync(cancellationToken);
        var known = (await session.QueryAsync<LineageDocument>("where id = ? for update", cancellationToken, LineageDocument.TheOne)).SingleOrDefault();
        if (known?.Origin == origin)
            return known.Epoch;

        var isOld = known is { Origin: null };
        var lineage = new LineageDocument { Epoch = isOld ? known!.Epoch : Guid.CreateVersion7(), Origin = origin };
        if (known is null)
            session.Insert(lineage);
        else
            session.Update(lineage);
        await session.SaveChangesAsync(cancellationToken);
        return lineage.Epoch;
    }

    private async Task<string> OriginAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select concat_ws('/', system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), to_regclass($1)::oid)
            from pg_control_system()
            """);
        command.Parameters.Add(new() { Value = tables.Lineage });
        return (string)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
