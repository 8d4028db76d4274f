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
