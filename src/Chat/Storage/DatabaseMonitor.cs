using Chat.Hosting;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Probes every other second whether PostgreSQL can store a message, so that outages and recoveries are noticed without
/// traffic, and compares its clock.
/// </summary>
internal sealed class DatabaseMonitor(NpgsqlDataSource database, TableNames tables, DependencyStates dependencies, ServerMetrics metrics,
    TimeProvider time, ILogger<DatabaseMonitor> log)
    : SupervisedBackgroundService(time, log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private long difference;

    /// <summary>How far this node's clock is ahead of PostgreSQL's, at the last probe.</summary>
    public TimeSpan ClockDifference => new(Interlocked.Read(ref difference));

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("PostgreSQL probe", RunAsync)];

    /// <summary>
    /// Returns the settings with which PostgreSQL may lose acknowledged messages in a power failure; null if there are none. Also
    /// writes to the message tables without affecting a row, which checks privileges and detects a standby.
    /// </summary>
    public async Task<string?> ProbeAsync(CancellationToken cancellationToken)
    {
        var startedAt = Time.GetUtcNow();
        await using var command = database.CreateCommand($"""
            with sent as (insert into {tables.Message} select * from {tables.Message} where false returning 1),
                 bumped as (update {tables.ConversationHead} set seq = seq where false returning 1)
            select clock_timestamp(), (select string_agg(name, ' and ' order by name) from pg_settings
                where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off')
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var now = Time.GetUtcNow();
        var ahead = startedAt + ((now - startedAt) / 2) - reader.GetFieldValue<DateTimeOffset>(0);
        Interlocked.Exchange(ref difference, ahead.Ticks);
        metrics.RecordClockDifference(ahead);
        return await reader.IsDBNullAsync(1, cancellationToken) ? null : reader.GetString(1);
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        for (var tick = 0; await timer.WaitForNextTickAsync(stopping); tick++)
        {
            dependencies.Postgres.Summarize();
            dependencies.Redis.Summarize();
            if (tick % 2 == 0 && !dependencies.Postgres.IsUnavailable)
                continue;
            try
            {
                await ProbeAsync(stopping);
                dependencies.Postgres.Succeeded();
            }
            catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure) && !stopping.IsCancellationRequested)
            {
                dependencies.Postgres.Failed(failure);
            }
        }
    }
}
