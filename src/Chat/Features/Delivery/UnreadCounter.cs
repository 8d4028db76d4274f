namespace Chat.Features;

/// <summary>
/// How many messages of one conversation a user has not read: what a snapshot of the database counted, and what was
/// delivered past it. Snapshots are taken while deliveries go on, several at once, and may come in in any order; a
/// message is counted once all the same, and of two snapshots the newer one stays.
/// </summary>
internal sealed class UnreadCounter(UnreadTotal total)
{
    private long snapshotSeq;
    private long countedUpTo;
    private int recounts;
    private List<long>? countedMeanwhile;

    /// <summary>The count, which the total follows.</summary>
    public long Value
    {
        get;
        private set
        {
            total.Value += value - field;
            field = value;
        }
    }

    /// <summary>The user's own cursor, as the latest snapshot has it.</summary>
    public long ReadUpTo { get; private set; }

    /// <summary>A message of somebody else's is delivered: it counts, unless a snapshot has counted it already.</summary>
    public void Add(long seq)
    {
        if (seq <= countedUpTo)
            return;
        countedUpTo = seq;
        Value++;
        countedMeanwhile?.Add(seq);
    }

    /// <summary>A snapshot is about to be taken: from here on it is noted what is counted beside it.</summary>
    public void BeginRecount()
    {
        recounts++;
        countedMeanwhile ??= [];
    }

    /// <summary>The snapshot was taken over, or could not be had.</summary>
    public void EndRecount()
    {
        if (--recounts == 0)
            countedMeanwhile = null;
    }

    /// <summary>Takes over a snapshot's count, and adds what was delivered past it meanwhile.</summary>
    public void Take(MemberPosition snapshot)
    {
        // An older snapshot may come in after a newer one. Neither the cursor nor the number ever goes back, so they tell.
        if (snapshot.ReadUpTo < ReadUpTo || snapshot.Seq < snapshotSeq)
            return;
        Value = snapshot.Unread + (countedMeanwhile?.Count(seq => seq > snapshot.Seq) ?? 0);
        (ReadUpTo, snapshotSeq, countedUpTo) = (snapshot.ReadUpTo, snapshot.Seq, Math.Max(snapshot.Seq, countedUpTo));
    }
}

/// <summary>How many messages a user has not read, over all conversations.</summary>
internal sealed class UnreadTotal
{
    public long Value { get; set; }
}
