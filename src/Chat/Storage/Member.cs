namespace Chat.Storage;

/// <summary>One person in one conversation, and how far they have come. Cursors never go back.</summary>
public sealed record Member
{
    /// <summary>Made from conversation and user.</summary>
    public required Guid Id { get; init; }

    /// <summary>The conversation.</summary>
    public required Guid ConversationId { get; init; }

    /// <summary>The person.</summary>
    public required Guid UserId { get; init; }

    /// <summary>Everything up to this number was read.</summary>
    public long ReadUpTo { get; init; }

    /// <summary>Everything up to this number has reached a device of theirs. Never behind <see cref="ReadUpTo"/>.</summary>
    public long DeliveredUpTo { get; init; }

    /// <summary>The member further on; where they are further already, they stay.</summary>
    public static Member Moved(Member member, long upTo, bool isRead) => member with
    {
        ReadUpTo = isRead ? Math.Max(member.ReadUpTo, upTo) : member.ReadUpTo,
        DeliveredUpTo = Math.Max(member.DeliveredUpTo, upTo),
    };

    /// <summary>The document's id.</summary>
    public static Guid IdOf(Guid conversation, Guid user) => DeterministicId.Of("member", conversation, user);
}
