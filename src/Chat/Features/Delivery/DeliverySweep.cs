using Chat.Hosting;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Compares everything that this node has delivered with the database, every two minutes: a second line of defence behind the
/// journal, against whatever does not write it, such as a node of an older version. What is behind is treated like an entry of
/// the journal, so that changes in flight are left alone.
/// </summary>
internal sealed class DeliverySweep(
    Delivery delivery, DeliveryRepair repair, NpgsqlDataSource database, TableNames tables, TimeProvider time, ILogger<DeliverySweep> log)
    : SupervisedBackgroundService(time, log)
{
    private const int MaxFeedsPerQuery = 100;

    // Seconds. Longer than for requests, which users wait for; PostgreSQL's own statement timeout usually ends it earlier.
    private const int Timeout = 5;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(2);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("delivery sweep", RunAsync)];

    /// <summary>Compares everything once.</summary>
    public async Task SweepAsync(CancellationToken stopping)
    {
        // In chunks: no array reaches the large object heap, and no query runs for long.
        foreach (var feeds in delivery.Feeds.Where(feed => feed.IsLoaded).Chunk(MaxFeedsPerQuery))
        {
            var behind = await BehindAsync(feeds);
            if (behind.Count == 0)
                continue;
            await Task.Delay(JournalReader.Interval, Time, stopping);
            await repair.CheckAsync(behind);
        }
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
            await SweepAsync(stopping);
    }

    private async Task<List<JournalEntry>> BehindAsync(UserFeed[] feeds)
    {
        var known = feeds.SelectMany(
            feed => feed.Positions(), (feed, entry) => (feed.UserId, entry.ConversationId, entry.Position, entry.ReadUpTo)).ToArray();
        await using var command = database.CreateCommand($"""
            select m.user_id, m.conversation_id, h.seq, m.read_up_to
            from {tables.Member} m
            join {tables.ConversationHead} h on h.id = m.conversation_id
            left join unnest($2, $3, $4, $5) k(user_id, conversation_id, position, read_up_to)
              on k.user_id = m.user_id and k.conversation_id = m.conversation_id
            where m.user_id = any($1) and (h.seq > coalesce(k.position, 0) or m.read_up_to > coalesce(k.read_up_to, 0))
            """)
            .WithColumn(feeds, feed => feed.UserId)
            .WithColumn(known, entry => entry.UserId)
            .WithColumn(known, entry => entry.ConversationId)
            .WithColumn(known, entry => entry.Position)
            .WithColumn(known, entry => entry.ReadUpTo);
        command.CommandTimeout = Timeout;
        return await command.ReadAllAsync(row => new JournalEntry(
            0, [row.GetGuid(1)], [row.GetInt64(2)], [row.GetGuid(0)],
            new CursorAdvance(row.GetInt64(3), row.GetInt64(3), row.GetInt64(3))));
    }
}
