namespace Chat.Storage;

/// <summary>A user's membership of a conversation, with their cursors. Cursors never move backwards.</summary>
public sealed record Member
{
    /// <summary>Derived from conversation and user.</summary>
    public required Guid Id { get; init; }

    /// <summary>The conversation.</summary>
    public required Guid ConversationId { get; init; }

    /// <summary>The user.</summary>
    public required Guid UserId { get; init; }

    /// <summary>The user has read everything up to this sequence number.</summary>
    public long ReadUpTo { get; init; }

    /// <summary>A device of the user's has received everything up to this sequence number. Never behind <see cref="ReadUpTo"/>.</summary>
    public long DeliveredUpTo { get; init; }

    /// <summary>Returns the member with advanced cursors; cursors that are further already stay.</summary>
    public static Member Advanced(Member member, long upTo, bool isRead) => member with
    {
        ReadUpTo = isRead ? Math.Max(member.ReadUpTo, upTo) : member.ReadUpTo,
        DeliveredUpTo = Math.Max(member.DeliveredUpTo, upTo),
    };

    /// <summary>Returns the document's id.</summary>
    public static Guid IdOf(Guid conversation, Guid user) => DeterministicId.Of("member", conversation, user);
}
