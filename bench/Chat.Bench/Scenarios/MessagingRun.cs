using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Runs a messaging load: warm-up, measurement, and draining of messages in flight; then verifies, on the connections and in
/// the database, that nothing was lost, duplicated or misdelivered.
/// </summary>
internal sealed class MessagingRun(Target target, Options options, Progress progress)
{
    private const string Gaps = """
        select count(*) from chat.mt_doc_conversationhead h left join
            (select conversation_id, count(*) as many, max(seq) as last from chat.mt_doc_message group by conversation_id) m
            on m.conversation_id = h.id
        where h.seq <> coalesce(m.many, 0) or h.seq <> coalesce(m.last, 0)
        """;

    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(15);
    private readonly TimeSpan warmUp = options.Seconds("warm-up", 10);
    private readonly TimeSpan measured = options.Seconds("seconds", 15);

    /// <summary>The timestamp at which senders must stop.</summary>
    public long StopAt { get; private set; } = long.MaxValue;

    /// <summary>Runs the load, and returns the report.</summary>
    /// <param name="title">The title of the report.</param>
    /// <param name="loop">The event loop of the clients, all of which are connected.</param>
    /// <param name="fleet">The clients.</param>
    /// <param name="stats">The statistics, with the streams set.</param>
    /// <param name="begin">Starts the senders; receives the current time.</param>
    /// <param name="receivers">The number of connections to which each message is pushed.</param>
    public async Task<Report> RunAsync(
        string title, EventLoop loop, Fleet fleet, DeliveryStats stats, Action<long> begin, int receivers = 1)
    {
        var storedBefore = await StoredAsync();
        progress.SetPhase("warming up", () => $"{stats.Sent:N0} sent, {stats.Delivered:N0} delivered");
        var start = EventLoop.Now;
        begin(start);
        RunUntil(loop, start + EventLoop.ToTicks(warmUp));

        progress.SetPhase(
            "measuring", () => $"{stats.Sent:N0} sent, {stats.Delivered:N0} delivered, p99 {stats.DeliveryLatency.Percentile(99):0.0} ms");
        var from = EventLoop.Now;
        stats.AckLatency.Start(from);
        stats.DeliveryLatency.Start(from);
        var (usedBefore, deliveredBefore) = (target.MeasureUsage(), stats.Delivered);
        RunUntil(loop, from + EventLoop.ToTicks(measured));
        var to = EventLoop.Now;
        stats.AckLatency.Stop(to);
        stats.DeliveryLatency.Stop(to);
        var (used, delivered) = (target.MeasureUsage(), stats.Delivered - deliveredBefore);

        StopAt = to;
        progress.SetPhase("draining", () => $"{stats.Sent - stats.Streams.Sum(stream => stream.Completed)} messages");
        loop.Run(() => stats.Streams.All(stream => stream.Completed == stream.Sent) && HasAllFrames(stats, receivers), DrainTimeout);

        var seconds = (to - from) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1));
        var report = new Report(title);
        report.Add("delivered", delivered / seconds, "/s");
        report.Figures.AddRange(stats.DeliveryLatency.Figures("delivery"));
        report.Figures.AddRange(stats.AckLatency.Figures("answer"));
        report.Figures.AddRange(used.Since(usedBefore, TimeSpan.FromSeconds(seconds), delivered / (double)receivers));
        report.Faults.AddRange(stats.Validate());
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}"));
        if (!HasAllFrames(stats, receivers))
            report.Faults.Add(
                $"{stats.Sent} messages caused {stats.Frames(FrameKind.Updated)} conversation.updated and "
                    + $"{stats.Frames(FrameKind.Unread)} notification.unread.");
        report.Faults.AddRange(await StoreFaultsAsync(stats.Sent, storedBefore));
        return report;
    }

    private static void RunUntil(EventLoop loop, long timestamp) => loop.Run(() => EventLoop.Now >= timestamp, TimeSpan.FromDays(1));

    // The sender receives conversation.updated, too, but notification.unread goes to the receivers only.
    private bool HasAllFrames(DeliveryStats stats, int receivers) =>
        target.IsFloor
        || (stats.Frames(FrameKind.Updated) == stats.Sent * (receivers + 1) && stats.Frames(FrameKind.Unread) == stats.Sent * receivers);

    private async Task<long> StoredAsync() =>
        target.Services is null
            ? 0 : await target.Services.CountAsync($"select count(*) from {(target.IsFloor ? "floor_message" : "chat.mt_doc_message")}");

    private async Task<IEnumerable<string>> StoreFaultsAsync(long sent, long storedBefore)
    {
        if (target.Services is null)
            return [];
        var stored = await StoredAsync() - storedBefore;
        var failures = new List<string>();
        if (stored != sent)
            failures.Add($"{sent} messages were sent and {stored} are stored.");
        if (!target.IsFloor && await target.Services.CountAsync(Gaps) is not 0 and var gaps)
            failures.Add($"{gaps} conversations have a sequence gap or an inconsistent head.");
        return failures;
    }
}
