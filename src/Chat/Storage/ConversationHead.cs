namespace Chat.Storage;

/// <summary>
/// The frequently updated part of a conversation: its counter and latest message. A small row, updated in place by every
/// change; its row lock establishes the total order of a conversation.
/// </summary>
public sealed record ConversationHead
{
    /// <summary>The conversation's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>The sequence number of the latest change; 0 before the first.</summary>
    public required long Seq { get; init; }

    /// <summary>The latest message; null if there is none.</summary>
    public Guid? LastMessageId { get; init; }

    /// <summary>When the latest change was made.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Returns the id of the direct conversation of two users.</summary>
    public static Guid IdOfDirect(Guid one, Guid other) => DeterministicId.OfPair("direct", one, other);
}
