namespace Chat.Storage;

/// <summary>
/// One person has blocked another. Kept here because every send to a direct conversation is checked against it in the
/// transaction that would store the message: a block is in force for all nodes from its commit on.
/// </summary>
public sealed record Block
{
    /// <summary>Made from both people: a block exists once.</summary>
    public required Guid Id { get; init; }

    /// <summary>Who blocks.</summary>
    public required Guid BlockerId { get; init; }

    /// <summary>Who is blocked.</summary>
    public required Guid BlockedId { get; init; }

    /// <summary>Since when.</summary>
    public required DateTimeOffset BlockedAt { get; init; }

    /// <summary>
    /// How far each of the two had come in their direct conversation when the block began, by user: all that the other
    /// one sees of it until it ends.
    /// </summary>
    public IReadOnlyList<Member> Frozen { get; init; } = [];

    /// <summary>The id of the block of one person by another.</summary>
    public static Guid IdOf(Guid blocker, Guid blocked) => DeterministicId.Of("block", blocker, blocked);
}
