using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// A run in which people send messages: warm-up, measured time, and the wait for what is still under way; then the
/// proof that nothing was lost, doubled or misled, here and in the database.
/// </summary>
internal sealed class MessagingRun(Target target, Options options, Progress progress)
{
    private const string Gaps = """
        select count(*) from chat.mt_doc_conversationhead h left join
            (select conversation_id, count(*) as many, max(seq) as last from chat.mt_doc_message group by conversation_id) m
            on m.conversation_id = h.id
        where h.seq <> coalesce(m.many, 0) or h.seq <> coalesce(m.last, 0)
        """;

    private static readonly TimeSpan LongestDrain = TimeSpan.FromSeconds(15);
    private readonly TimeSpan warmUp = options.Seconds("warm-up", 10);
    private readonly TimeSpan measured = options.Seconds("seconds", 15);

    /// <summary>When the senders are to stop; until then they go on.</summary>
    public long StopAt { get; private set; } = long.MaxValue;

    /// <summary>Runs.</summary>
    /// <param name="title">What it is.</param>
    /// <param name="loop">The loop with all clients connected.</param>
    /// <param name="fleet">The clients.</param>
    /// <param name="tally">With the lanes set.</param>
    /// <param name="begin">Lets the senders begin; it is given the time.</param>
    /// <param name="receivers">Connections to which each message is pushed.</param>
    public async Task<Report> RunAsync(string title, EventLoop loop, Fleet fleet, DeliveryStats tally, Action<long> begin, int receivers = 1)
    {
        var storedBefore = await StoredAsync();
        progress.SetPhase("warming up", () => $"{tally.Sent:N0} sent, {tally.Delivered:N0} delivered");
        var began = EventLoop.Now;
        begin(began);
        RunUntil(loop, began + EventLoop.ToTicks(warmUp));

        progress.SetPhase("measuring", () => $"{tally.Sent:N0} sent, {tally.Delivered:N0} delivered, p99 {tally.Deliveries.Percentile(99):0.0} ms");
        var from = EventLoop.Now;
        tally.Answers.Start(from);
        tally.Deliveries.Start(from);
        var (usedBefore, deliveredBefore) = (target.MeasureUsage(), tally.Delivered);
        RunUntil(loop, from + EventLoop.ToTicks(measured));
        var to = EventLoop.Now;
        tally.Answers.Stop(to);
        tally.Deliveries.Stop(to);
        var (used, delivered) = (target.MeasureUsage(), tally.Delivered - deliveredBefore);

        StopAt = to;
        progress.SetPhase("waiting for what is under way", () => $"{tally.Sent - tally.Streams.Sum(lane => lane.Completed)} messages");
        loop.Run(() => tally.Streams.All(lane => lane.Completed == lane.Sent) && HasAllFrames(tally, receivers), LongestDrain);

        var seconds = (to - from) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1));
        var report = new Report(title);
        report.Add("delivered", delivered / seconds, "/s");
        report.Figures.AddRange(tally.Deliveries.Figures("delivery"));
        report.Figures.AddRange(tally.Answers.Figures("answer"));
        report.Figures.AddRange(used.Since(usedBefore, TimeSpan.FromSeconds(seconds), delivered / (double)receivers));
        report.Faults.AddRange(tally.Validate());
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}"));
        if (!HasAllFrames(tally, receivers))
            report.Faults.Add($"{tally.Sent} messages made {tally.Frames(FrameKind.Updated)} conversation.updated and {tally.Frames(FrameKind.Unread)} notification.unread.");
        report.Faults.AddRange(await StoreFaultsAsync(tally.Sent, storedBefore));
        return report;
    }

    private static void RunUntil(EventLoop loop, long moment) => loop.Run(() => EventLoop.Now >= moment, TimeSpan.FromDays(1));

    // The sender hears conversation.updated, too; notification.unread is for those who have something to read.
    private bool HasAllFrames(DeliveryStats tally, int receivers) =>
        target.IsFloor
        || (tally.Frames(FrameKind.Updated) == tally.Sent * (receivers + 1) && tally.Frames(FrameKind.Unread) == tally.Sent * receivers);

    private async Task<long> StoredAsync() =>
        target.Services is null ? 0 : await target.Services.CountAsync($"select count(*) from {(target.IsFloor ? "floor_message" : "chat.mt_doc_message")}");

    private async Task<IEnumerable<string>> StoreFaultsAsync(long sent, long storedBefore)
    {
        if (target.Services is null)
            return [];
        var stored = await StoredAsync() - storedBefore;
        var faults = new List<string>();
        if (stored != sent)
            faults.Add($"{sent} messages were sent and {stored} are stored.");
        if (!target.IsFloor && await target.Services.CountAsync(Gaps) is not 0 and var gaps)
            faults.Add($"{gaps} conversations have a gap in their numbers, or a head that does not fit.");
        return faults;
    }
}
