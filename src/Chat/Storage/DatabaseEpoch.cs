using Chat.Hosting;
using Marten;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// The lineage of the database that this node serves. Clients drop their numbers when they see another epoch,
/// because numbers given after a backup was taken are given once more after it is restored.
/// </summary>
/// <remarks>
/// The epoch is in the backup, too, so what is stored beside it is where it was written: the installation of
/// PostgreSQL, its timeline, which every recovery to a point in time and every promotion of a standby begins anew, and
/// the table, which a restored dump makes anew. Where that is no longer so, these are other data under the old name,
/// and the first node to see it begins a new epoch. A copy of the files that is simply started in place of the original
/// is in no way different from it; for that there is the command <c>db-new-epoch</c>.
/// </remarks>
internal sealed partial class DatabaseEpoch(
    IDocumentStore store, NpgsqlDataSource database, TableNames tables, IHostApplicationLifetime host, TimeProvider time, ILogger<DatabaseEpoch> log) : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    public Guid Epoch { get; private set; }

    /// <summary>The database became another one while the node ran: it ended itself, and wants to be started again.</summary>
    public bool WasLost { get; private set; }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("look at the lineage", WatchAsync)];

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        Epoch = await AgreeAsync(renew: false, cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Gives a new epoch, whatever the database looks like.</summary>
    public Task<Guid> RenewAsync() => AgreeAsync(renew: true, CancellationToken.None);

    // Feeds and caches hold numbers of the old lineage, and nothing could tell which of them still hold. A new process
    // has none. It is asked for the epoch as well, since that is what another node or the command may have changed.
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

    /// <summary>The epoch that holds from now on, for all nodes: the row's lock lets one after the other look and decide.</summary>
    private async Task<Guid> AgreeAsync(bool renew, CancellationToken cancellationToken)
    {
        var origin = await OriginAsync(cancellationToken);
        await using (var reading = store.QuerySession())
        {
            var known = await reading.LoadAsync<LineageDocument>(LineageDocument.TheOne, cancellationToken);
            if (!renew && known is not null && (origin is null || known.Origin == origin))
                return known.Epoch;
        }

        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // Not the row itself, which is not there at first.
        await using (var command = new NpgsqlCommand($"lock table {tables.Lineage} in share row exclusive mode", connection, transaction))
            await command.ExecuteNonQueryAsync(cancellationToken);
        await using var session = store.LightweightSession(Marten.Services.SessionOptions.ForTransaction(transaction));
        var present = await session.LoadAsync<LineageDocument>(LineageDocument.TheOne, cancellationToken);
        var holds = !renew && present is not null && (present.Origin is null || origin is null || present.Origin == origin);
        var agreed = new LineageDocument { Epoch = holds ? present!.Epoch : Guid.CreateVersion7(), Origin = origin ?? present?.Origin };
        if (agreed != present)
            session.Store(agreed);
        await session.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        if (!holds)
            Began(agreed.Epoch, agreed.Origin);
        return agreed.Epoch;
    }

    private async Task<string?> OriginAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = database.CreateCommand("""
                select concat_ws('/', system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), to_regclass($1)::oid)
                from pg_control_system()
                """);
            command.Parameters.Add(new() { Value = tables.Lineage });
            return await command.ExecuteScalarAsync(cancellationToken) as string;
        }
        catch (PostgresException refused) when (refused.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.UndefinedFunction or PostgresErrorCodes.FeatureNotSupported)
        {
            CannotCheck(refused.MessageText);
            return null;
        }
    }

    [LoggerMessage(300, LogLevel.Information, "A new epoch begins: {Epoch}, at {Origin}. Clients load afresh")]
    private partial void Began(Guid epoch, string? origin);

    [LoggerMessage(301, LogLevel.Critical, "The database is of another lineage than before: a backup was restored, or a standby took over. This node ends, to be started again")]
    private partial void EpochChanged();

    [LoggerMessage(302, LogLevel.Debug, "PostgreSQL does not say which server it is ({Reason}): after a restore run db-new-epoch")]
    private partial void CannotCheck(string reason);
}
