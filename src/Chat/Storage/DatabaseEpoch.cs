using Chat.Hosting;
using Marten;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Identifies the history of the database that this node serves. Clients discard their sequence numbers when the epoch
/// changes, because numbers assigned after a backup are assigned again after it is restored.
/// </summary>
/// <remarks>
/// The epoch is part of the backup, too, so its origin is stored beside it: the PostgreSQL system identifier, its timeline,
/// which changes with every point-in-time recovery and every promotion of a standby, and the table's OID, which changes
/// when a dump is restored. If the origin differs, the data are different, and the first node to notice starts a new epoch.
/// A file copy that is started in place of the original cannot be detected; for that there is the command
/// <c>db-new-epoch</c>.
/// </remarks>
internal sealed partial class DatabaseEpoch(
    IDocumentStore store, NpgsqlDataSource database, TableNames tables, IHostApplicationLifetime host, TimeProvider time,
    ILogger<DatabaseEpoch> log) : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    public Guid Epoch { get; private set; }

    /// <summary>Whether the epoch changed while the node ran: it stopped itself, and must be restarted.</summary>
    public bool WasLost { get; private set; }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("epoch check", WatchAsync)];

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        Epoch = await AgreeAsync(renew: false, cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Starts a new epoch unconditionally.</summary>
    public Task<Guid> RenewAsync() => AgreeAsync(renew: true, CancellationToken.None);

    // Feeds and caches hold sequence numbers of the old epoch and cannot be invalidated one by one; a new process has none. The
    // epoch is compared as well, since another node or the command may have changed it.
    private async Task WatchAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            if (await AgreeAsync(renew: false, stopping) == Epoch)
                continue;
            EpochChanged();
            WasLost = true;
            host.StopApplication();
            return;
        }
    }

    /// <summary>Returns the epoch that all nodes agree on; the table lock serializes their decisions.</summary>
    private async Task<Guid> AgreeAsync(bool renew, CancellationToken cancellationToken)
    {
        var origin = await OriginAsync(cancellationToken);
        await using (var query = store.QuerySession())
        {
            var known = await query.LoadAsync<LineageDocument>(LineageDocument.TheOne, cancellationToken);
            if (!renew && known is not null && (origin is null || known.Origin == origin))
                return known.Epoch;
        }

        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // The table, because there is no row to lock at first.
        await using (var command = new NpgsqlCommand($"lock table {tables.Lineage} in share row exclusive mode", connection, transaction))
            await command.ExecuteNonQueryAsync(cancellationToken);
        await using var session = store.LightweightSession(Marten.Services.SessionOptions.ForTransaction(transaction));
        var current = await session.LoadAsync<LineageDocument>(LineageDocument.TheOne, cancellationToken);
        var isCurrent = !renew && current is not null && (current.Origin is null || origin is null || current.Origin == origin);
        var agreed = new LineageDocument { Epoch = isCurrent ? current!.Epoch : Guid.CreateVersion7(), Origin = origin ?? current?.Origin };
        if (agreed != current)
            session.Store(agreed);
        await session.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        if (!isCurrent)
            EpochBegan(agreed.Epoch, agreed.Origin);
        return agreed.Epoch;
    }

    private async Task<string?> OriginAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = database.CreateCommand("""
                select concat_ws('/', system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), to_regclass($1)::oid)
                from pg_control_system()
                """).With(tables.Lineage);
            return await command.ExecuteScalarAsync(cancellationToken) as string;
        }
        catch (PostgresException refused) when (refused.SqlState is PostgresErrorCodes.InsufficientPrivilege
            or PostgresErrorCodes.UndefinedFunction or PostgresErrorCodes.FeatureNotSupported)
        {
            CannotCheck(refused.MessageText);
            return null;
        }
    }

    [LoggerMessage(300, LogLevel.Information, "A new epoch begins: {Epoch}, at {Origin}; clients reload everything")]
    private partial void EpochBegan(Guid epoch, string? origin);

    [LoggerMessage(301, LogLevel.Critical,
        "The database's epoch has changed: a backup was restored, or a standby was promoted; this node stops and must be restarted")]
    private partial void EpochChanged();

    [LoggerMessage(302, LogLevel.Debug, "PostgreSQL does not reveal its identity ({Reason}); run db-new-epoch after a restore")]
    private partial void CannotCheck(string reason);
}
