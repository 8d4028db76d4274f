using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Verifies, on the connections and in the database, that no message was lost, duplicated or misdelivered since it was created.
/// </summary>
internal sealed class MessageChecks
{
    private const string Gaps = """
        select count(*) from chat.mt_doc_conversationhead h left join
            (select conversation_id, count(*) as many, max(seq) as last from chat.mt_doc_message group by conversation_id) m
            on m.conversation_id = h.id
        where h.seq <> coalesce(m.many, 0) or h.seq <> coalesce(m.last, 0)
        """;

    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(15);
    private readonly Target target;
    private readonly long storedBefore;

    private MessageChecks(Target target, long storedBefore) => (this.target, this.storedBefore) = (target, storedBefore);

    /// <summary>Counts the messages that are stored already.</summary>
    public static async Task<MessageChecks> BeginAsync(Target target) => new(target, await StoredAsync(target));

    /// <summary>Waits for everything in flight; the senders have stopped.</summary>
    public void Drain(EventLoop loop, DeliveryStats stats, Progress progress, int receivers = 1)
    {
        progress.SetPhase("draining", () => $"{stats.Sent - stats.Streams.Sum(stream => stream.Completed)} messages");
        loop.Run(() => stats.Streams.All(stream => stream.Completed == stream.Sent) && HasAllFrames(stats, receivers), DrainTimeout);
    }

    /// <summary>Returns one line for each kind of failure.</summary>
    public async Task<IReadOnlyList<string>> FaultsAsync(Fleet fleet, DeliveryStats stats, int receivers = 1)
    {
        List<string> faults =
            [.. stats.Validate(), .. fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}")];
        if (!HasAllFrames(stats, receivers))
            faults.Add(
                $"{stats.Sent} messages caused {stats.Frames(FrameKind.Updated)} conversation.updated and "
                    + $"{stats.Frames(FrameKind.Unread)} notification.unread.");
        if (target.Services is null)
            return faults;
        var stored = await StoredAsync(target) - storedBefore;
        if (stored != stats.Sent)
            faults.Add($"{stats.Sent} messages were sent and {stored} are stored.");
        if (!target.IsFloor && await target.Services.CountAsync(Gaps) is not 0 and var gaps)
            faults.Add($"{gaps} conversations have a sequence gap or an inconsistent head.");
        return faults;
    }

    // The sender receives conversation.updated, too, but notification.unread goes to the receivers only.
    private bool HasAllFrames(DeliveryStats stats, int receivers) =>
        target.IsFloor
        || (stats.Frames(FrameKind.Updated) == stats.Sent * (receivers + 1) && stats.Frames(FrameKind.Unread) == stats.Sent * receivers);

    private static async Task<long> StoredAsync(Target target) =>
        target.Services is null
            ? 0 : await target.Services.CountAsync($"select count(*) from {(target.IsFloor ? "floor_message" : "chat.mt_doc_message")}");
}
