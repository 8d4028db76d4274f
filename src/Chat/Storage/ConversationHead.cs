namespace Chat.Storage;

/// <summary>
/// The hot part of a conversation: its counter and its latest message. Small, in a row of its own, updated in place
/// by every change; the row lock on it is what gives a conversation its one order.
/// </summary>
public sealed record ConversationHead
{
    /// <summary>The conversation's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>The number of the latest change; 0 before the first.</summary>
    public required long Seq { get; init; }

    /// <summary>The latest message, if there is one.</summary>
    public Guid? LastMessageId { get; init; }

    /// <summary>When the latest change was made.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The id of the direct conversation of two people.</summary>
    public static Guid IdOfDirect(Guid one, Guid other) => DeterministicId.OfPair("direct", one, other);
}
