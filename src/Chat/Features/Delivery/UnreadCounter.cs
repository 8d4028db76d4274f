namespace Chat.Features;

/// <summary>
/// Counts a user's unread messages in one conversation: the count of a database snapshot plus what was delivered after it.
/// Snapshots overlap with deliveries and with each other and may arrive in any order; each message is still counted once, and
/// the newest snapshot wins.
/// </summary>
internal sealed class UnreadCounter(UnreadTotal total)
{
    private long snapshotSeq;
    private long countedUpTo;
    private int recounts;
    private List<long>? countedMeanwhile;

    /// <summary>The unread count; changes are added to the total.</summary>
    public long Value
    {
        get;
        private set
        {
            total.Value += value - field;
            field = value;
        }
    }

    /// <summary>The user's own read cursor, as of the latest snapshot.</summary>
    public long ReadUpTo { get; private set; }

    /// <summary>Counts a delivered message by another user, unless a snapshot already includes it.</summary>
    public void Add(long seq)
    {
        if (seq <= countedUpTo)
            return;
        countedUpTo = seq;
        Value++;
        countedMeanwhile?.Add(seq);
    }

    /// <summary>Starts recording deliveries, because a snapshot is about to be taken.</summary>
    public void BeginRecount()
    {
        recounts++;
        countedMeanwhile ??= [];
    }

    /// <summary>Stops recording after a snapshot was applied or has failed.</summary>
    public void EndRecount()
    {
        if (--recounts == 0)
            countedMeanwhile = null;
    }

    /// <summary>Applies a snapshot's count and adds what was delivered after the snapshot.</summary>
    public void Take(MemberPosition snapshot)
    {
        // Snapshots may arrive out of order. Cursor and sequence number never decrease, so they identify a stale one.
        if (snapshot.ReadUpTo < ReadUpTo || snapshot.Seq < snapshotSeq)
            return;
        Value = snapshot.Unread + (countedMeanwhile?.Count(seq => seq > snapshot.Seq) ?? 0);
        (ReadUpTo, snapshotSeq, countedUpTo) = (snapshot.ReadUpTo, snapshot.Seq, Math.Max(snapshot.Seq, countedUpTo));
    }
}

/// <summary>The number of unread messages of a user in all conversations.</summary>
internal sealed class UnreadTotal
{
    public long Value { get; set; }
}
