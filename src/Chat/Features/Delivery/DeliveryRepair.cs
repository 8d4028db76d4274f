using Chat.Hosting;
using Chat.Storage;
using Chat.Telemetry;

namespace Chat.Features;

/// <summary>
/// Recovers changes that were lost between nodes. A visible gap is filled from the database within 250 ms. A loss without a later
/// change is found by the journal: whatever was committed and has not arrived here within <see cref="JournalReader.Interval"/> is
/// fetched. A change is thus at most two seconds late, also while Redis is unavailable and nothing else carries changes between
/// nodes, and nothing is asked about conversations in which nothing happens.
/// </summary>
internal sealed partial class DeliveryRepair(
    Delivery delivery, LocalMembers members, UnreadRefresher recounts, ChangeReader changes, ServerMetrics metrics, TimeProvider time,
    ILogger<DeliveryRepair> log)
    : SupervisedBackgroundService(time, log), IJournalObserver
{
    private const int MaxFetched = 500;
    private const int MaxFetchedBytes = 1024 * 1024;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MaxHold = TimeSpan.FromSeconds(1);

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("buffer release", ReleaseAsync), ("gap repair", RepairGapsAsync)];

    /// <inheritdoc/>
    public async Task CheckAsync(IReadOnlyList<JournalEntry> due)
    {
        // All comparisons come before the first query: if that fails, what is missing is known, and gap repair fetches it later.
        var readElsewhere = due.SelectMany(ReadElsewhere).Distinct().ToArray();
        var behind = Reached(due)
            .SelectMany(reached => members.Of(reached.Key).Where(feed => feed.MarkMissing(reached.Key, reached.Value)))
            .ToHashSet();
        foreach (var (feed, conversationId) in readElsewhere)
            await recounts.RecountAsync(feed, conversationId);
        foreach (var feed in behind)
            await FillGapsAsync(feed);
    }

    // The feeds of the entry's users who have read on another node. Looking up a cursor also makes a feed aware of a conversation
    // that has just been opened.
    private IEnumerable<(UserFeed Feed, Guid ConversationId)> ReadElsewhere(JournalEntry entry) =>
        from userId in entry.Users
        let feed = delivery.FeedOf(userId)
        where feed is not null
        from conversationId in entry.Conversations
        where feed.ReadUpToOf(conversationId) < (entry.Cursor?.ReadUpTo ?? 0)
        select (feed, conversationId);

    private static Dictionary<Guid, long> Reached(IReadOnlyList<JournalEntry> due)
    {
        var reached = new Dictionary<Guid, long>();
        foreach (var entry in due)
        {
            for (var i = 0; i < entry.UpTo.Length; i++)
                reached[entry.Conversations[i]] = Math.Max(reached.GetValueOrDefault(entry.Conversations[i]), entry.UpTo[i]);
        }

        return reached;
    }

    // Never waits for the database: replies must be released even when no database connection is free for a repair.
    private async Task ReleaseAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var feed in delivery.Feeds)
                feed.Release(MaxHold);
        }
    }

    private async Task RepairGapsAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var feed in delivery.Feeds)
            {
                if (!feed.IsLoaded)
                    await delivery.LoadAsync(feed);
                await FillGapsAsync(feed);
            }
        }
    }

    // One batch of the gap; the next is fetched after this one was delivered. However large the gap, little is buffered.
    private async Task FillGapsAsync(UserFeed feed)
    {
        foreach (var (conversationId, position, upTo, isSeen) in feed.Gaps())
        {
            var missing = (await changes.ReadAfterAsync([(conversationId, position)], MaxFetched, MaxFetchedBytes)).TakeWhile(
                message => message.ChangedSeq <= upTo).ToArray();
            var news = feed.Fill(conversationId, missing);
            Repaired(news, conversationId, isSeen);
            if (isSeen)
                metrics.GapRepaired(news);
            else
                metrics.PositionRepaired(news);
        }
    }

    [LoggerMessage(
        243, LogLevel.Debug, "Fetched {Count} missing changes of {ConversationId} from the database (later ones had arrived: {IsSeen})")]
    private partial void Repaired(int count, Guid conversationId, bool isSeen);
}
