using System.Text.Json.Serialization;

namespace Chat.Storage;

/// <summary>
/// A message, as it is stored and as it goes over the wire.
/// </summary>
/// <remarks>
/// One document, inserted once by the <see cref="ConversationLog"/>. Its id is made from sender, conversation and tempId
/// where there is a tempId, so that the primary key itself refuses a repeat; otherwise it is a UUIDv7.
/// </remarks>
public sealed record Message
{
    /// <summary>Unique among all messages.</summary>
    public required Guid Id { get; init; }

    /// <summary>Where it was said.</summary>
    public required Guid ConversationId { get; init; }

    /// <summary>Its number in the conversation, from 1, without gaps, kept for life. The document of a message that has none yet leaves it out.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public required long Seq { get; init; }

    /// <summary>The number of its latest change; equals <c>seq</c> until it is changed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public required long ChangedSeq { get; init; }

    /// <summary>Who said it.</summary>
    public required Guid SenderId { get; init; }

    /// <summary>What kind of content it holds; so far always <c>text</c>.</summary>
    public required string Type { get; init; }

    /// <summary>What was said: 1 to 4,000 Unicode scalar values, trimmed; see <see cref="Storage.Content"/>.</summary>
    public required string Content { get; init; }

    /// <summary>When the server took it, in milliseconds. Order is by <c>seq</c>, never by this.</summary>
    public required DateTimeOffset SentAt { get; init; }

    /// <summary>The sender's own id for the send, shown to the sender alone.</summary>
    public string? TempId { get; init; }

    /// <summary>The message as this user may see it.</summary>
    public Message For(Guid userId) => userId == SenderId || TempId is null ? this : this with { TempId = null };
}

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
