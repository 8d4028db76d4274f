using System.Text.Json.Serialization;

namespace Chat.Storage;

/// <summary>A message, as stored and as sent over the wire.</summary>
/// <remarks>
/// One document, inserted once by the <see cref="ConversationLog"/>. With a tempId its id is derived from sender, conversation
/// and tempId, so that the primary key rejects duplicates; otherwise it is a UUIDv7.
/// </remarks>
public sealed record Message
{
    /// <summary>Unique among all messages.</summary>
    public required Guid Id { get; init; }

    /// <summary>The message's conversation.</summary>
    public required Guid ConversationId { get; init; }

    /// <summary>
    /// Its sequence number in the conversation: from 1, without gaps, immutable. Omitted from the document until assigned.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public required long Seq { get; init; }

    /// <summary>The sequence number of its latest change; equals <c>seq</c> until it is changed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public required long ChangedSeq { get; init; }

    /// <summary>The sender.</summary>
    public required Guid SenderId { get; init; }

    /// <summary>The kind of content; always <c>text</c> so far.</summary>
    public required string Type { get; init; }

    /// <summary>The content: 1 to 4,000 Unicode scalar values, trimmed; see <see cref="Storage.Content"/>.</summary>
    public required string Content { get; init; }

    /// <summary>When the server accepted it, with milliseconds. Messages are ordered by <c>seq</c>, never by this.</summary>
    public required DateTimeOffset SentAt { get; init; }

    /// <summary>The sender's own id for the message, visible to the sender only.</summary>
    public string? TempId { get; init; }

    /// <summary>Returns the message as a user may see it.</summary>
    public Message For(Guid userId) => userId == SenderId || TempId is null ? this : this with { TempId = null };
}
