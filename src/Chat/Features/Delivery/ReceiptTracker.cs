using Chat.Socket;

namespace Chat.Features;

/// <summary>What a user's connections to this node have been told of how far others have come, in all conversations.</summary>
internal sealed class ReceiptTracker(Guid userId, Hub hub)
{
    private readonly Lock gate = new();
    private readonly Dictionary<(Guid ConversationId, Guid Other), MemberCursor> sent = [];

    /// <summary>All of it: what the receipt check compares with the database.</summary>
    public IReadOnlyList<(Guid ConversationId, MemberCursor Cursor)> All()
    {
        lock (gate)
            return [.. sent.Select(one => (one.Key.ConversationId, one.Value))];
    }

    /// <summary>Takes down what a connection finds when it comes.</summary>
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

    /// <summary>Tells that another member has come further.</summary>
    /// <param name="conversationId">Where.</param>
    /// <param name="cursor">Who, and up to where, as far as the frame tells it.</param>
    /// <param name="frame">What tells it.</param>
    /// <param name="onlyIfNews">Leaves it out if as much was told before: several may be found at once, and told in any order.</param>
    public void Notify(Guid conversationId, MemberCursor cursor, Frame frame, bool onlyIfNews = false)
    {
        lock (gate)
        {
            if (Advance(conversationId, cursor) || !onlyIfNews)
                hub.Send(userId, frame);
        }
    }

    // Whether it is further than anything before.
    private bool Advance(Guid conversationId, MemberCursor cursor)
    {
        var known = sent.GetValueOrDefault((conversationId, cursor.UserId), new MemberCursor(cursor.UserId, 0, 0));
        var further = known with { ReadUpTo = Math.Max(known.ReadUpTo, cursor.ReadUpTo), DeliveredUpTo = Math.Max(known.DeliveredUpTo, cursor.DeliveredUpTo) };
        sent[(conversationId, cursor.UserId)] = further;
        return further != known;
    }
}
