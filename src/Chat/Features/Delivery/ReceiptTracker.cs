using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// Sends the cursors of other members to a user's connections, and remembers for a while what was sent, so that what the journal
/// reports later can be recognized as delivered.
/// </summary>
internal sealed class ReceiptTracker(Guid userId, Hub hub, TimeProvider time)
{
    /// <summary>Longer than the journal's entries are due.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();

    // Null while nothing was sent lately, which is the common case.
    private Dictionary<(Guid ConversationId, Guid Other), (MemberCursor Cursor, long At)>? sent;

    /// <summary>Returns what was sent lately of a member's cursors; zeros if nothing was.</summary>
    public MemberCursor Sent(Guid conversationId, Guid other)
    {
        lock (gate)
            return Known(conversationId, other);
    }

    /// <summary>Notifies the user's connections that another member's cursor has advanced.</summary>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="cursor">The member, and the cursor that the frame carries.</param>
    /// <param name="frame">The event to send.</param>
    /// <param name="onlyIfNews">Skips the event if the cursor is not ahead of what was sent: repairs may overlap and finish in any
    /// order.</param>
    public void Notify(Guid conversationId, MemberCursor cursor, Frame frame, bool onlyIfNews = false)
    {
        lock (gate)
        {
            if (Advance(conversationId, cursor) || !onlyIfNews)
                hub.Send(userId, frame);
        }
    }

    /// <summary>Forgets what was sent long ago.</summary>
    public void Evict()
    {
        lock (gate)
        {
            if (sent is null)
                return;
            foreach (var (key, (_, at)) in sent)
            {
                if (time.GetElapsedTime(at) > Retention)
                    sent.Remove(key);
            }

            if (sent.Count == 0)
                sent = null;
        }
    }

    // Returns whether the cursor is ahead of what was sent.
    private bool Advance(Guid conversationId, MemberCursor cursor)
    {
        var known = Known(conversationId, cursor.UserId);
        var further = known with
        {
            ReadUpTo = Math.Max(known.ReadUpTo, cursor.ReadUpTo),
            DeliveredUpTo = Math.Max(known.DeliveredUpTo, cursor.DeliveredUpTo)
        };
        (sent ??= [])[(conversationId, cursor.UserId)] = (further, time.GetTimestamp());
        return further != known;
    }

    private MemberCursor Known(Guid conversationId, Guid other) =>
        sent is not null && sent.TryGetValue((conversationId, other), out var known) ? known.Cursor : new MemberCursor(other, 0, 0);
}
