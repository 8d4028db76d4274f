namespace Chat.Storage;

/// <summary>A message to append: all but what its conversation assigns.</summary>
/// <param name="Id">See <see cref="Message.Id"/>; identifies duplicates.</param>
/// <param name="ConversationId">See <see cref="Message.ConversationId"/>.</param>
/// <param name="SenderId">See <see cref="Message.SenderId"/>.</param>
/// <param name="Type">See <see cref="Message.Type"/>.</param>
/// <param name="Content">See <see cref="Message.Content"/>.</param>
/// <param name="TempId">See <see cref="Message.TempId"/>.</param>
/// <param name="Blocks">The ids of the <see cref="Block"/>s that would reject the message.</param>
public sealed record MessageDraft(
    Guid Id, Guid ConversationId, Guid SenderId, string Type, string Content, string? TempId, IReadOnlyList<Guid> Blocks);

/// <summary>The outcome of an append.</summary>
public enum AppendOutcome
{
    /// <summary>Committed, with the next sequence number of its conversation.</summary>
    Stored,

    /// <summary>A duplicate: the stored message is returned, and no one is notified again.</summary>
    Repeated,

    /// <summary>Rejected by a block. Nothing was stored.</summary>
    Blocked,

    /// <summary>The conversation does not exist. Nothing was stored.</summary>
    NoConversation,

    /// <summary>The database is unavailable, or the queue is full. To be retried with the same tempId.</summary>
    Unavailable,
}

/// <summary>The result of an append.</summary>
/// <param name="Outcome">The outcome.</param>
/// <param name="Message">The stored message, if any.</param>
public readonly record struct Appended(AppendOutcome Outcome, Message? Message);
