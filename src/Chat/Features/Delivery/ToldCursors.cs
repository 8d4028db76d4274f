namespace Chat.Features;

/// <summary>What a user's connections to this node have been told of how far the other members of a conversation have come.</summary>
internal sealed class ToldCursors
{
    // Mostly one: the other person.
    private readonly List<MemberCursor> told = [];

    /// <summary>All of it.</summary>
    public IEnumerable<MemberCursor> All => told;

    /// <summary>Takes down what is being told.</summary>
    /// <returns>Whether it is further than anything before.</returns>
    public bool Advance(MemberCursor cursor)
    {
        var at = told.FindIndex(known => known.UserId == cursor.UserId);
        if (at < 0)
        {
            told.Add(cursor);
            return cursor is not { ReadUpTo: 0, DeliveredUpTo: 0 };
        }

        var known = told[at];
        told[at] = known with { ReadUpTo = Math.Max(known.ReadUpTo, cursor.ReadUpTo), DeliveredUpTo = Math.Max(known.DeliveredUpTo, cursor.DeliveredUpTo) };
        return told[at] != known;
    }
}
