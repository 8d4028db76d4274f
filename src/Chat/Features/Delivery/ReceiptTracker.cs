using Chat.Socket;

namespace Chat.Features;

/// <summary>Tracks which cursors of other members a user's connections to this node have received, in all conversations.</summary>
internal sealed class ReceiptTracker(Guid userId, Hub hub)
{
    private readonly Lock gate = new();
    private readonly Dictionary<(Guid ConversationId, Guid Other), MemberCursor> sent = [];

    /// <summary>Returns all tracked cursors, for the comparison with the database.</summary>
    public IReadOnlyList<(Guid ConversationId, MemberCursor Cursor)> All()
    {
        lock (gate)
            return [.. sent.Select(entry => (entry.Key.ConversationId, entry.Value))];
    }

    /// <summary>Initializes the cursors from the snapshot that a new connection starts with.</summary>
    public void Load(IReadOnlyList<MemberPosition> rows)
    {
        lock (gate)
        {
            foreach (var row in rows)
            {
                foreach (var cursor in row.Others)
                    Advance(row.ConversationId, cursor);
            }
        }
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

    // Returns whether the cursor is ahead of everything seen before.
    private bool Advance(Guid conversationId, MemberCursor cursor)
    {
        var known = sent.GetValueOrDefault((conversationId, cursor.UserId), new MemberCursor(cursor.UserId, 0, 0));
        var further = known with
        {
            ReadUpTo = Math.Max(known.ReadUpTo, cursor.ReadUpTo),
            DeliveredUpTo = Math.Max(known.DeliveredUpTo, cursor.DeliveredUpTo)
        };
        sent[(conversationId, cursor.UserId)] = further;
        return further != known;
    }
}
