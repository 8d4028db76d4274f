namespace Chat.Storage;

/// <summary>
/// A user's block of another. Stored here because the transaction that stores a direct message checks it: a block is in
/// effect on all nodes from its commit on.
/// </summary>
public sealed record Block
{
    /// <summary>Derived from both users, so that a block exists once.</summary>
    public required Guid Id { get; init; }

    /// <summary>The user who blocks.</summary>
    public required Guid BlockerId { get; init; }

    /// <summary>The user who is blocked.</summary>
    public required Guid BlockedId { get; init; }

    /// <summary>When the block began.</summary>
    public required DateTimeOffset BlockedAt { get; init; }

    /// <summary>
    /// Both members' cursors in their direct conversation when the block began, by user: all that the other one sees of it
    /// until it ends.
    /// </summary>
    public IReadOnlyList<Member> Frozen { get; init; } = [];

    /// <summary>Returns the id of one user's block of another.</summary>
    public static Guid IdOf(Guid blocker, Guid blocked) => DeterministicId.Of("block", blocker, blocked);
}
