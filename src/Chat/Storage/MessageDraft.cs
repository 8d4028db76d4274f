namespace Chat.Storage;

/// <summary>A message on its way into the log: all but what the conversation gives it.</summary>
/// <param name="Id">See <see cref="Message.Id"/>; what makes a repeat a repeat.</param>
/// <param name="ConversationId">Where it is said.</param>
/// <param name="SenderId">Who says it.</param>
/// <param name="Type">See <see cref="Message.Type"/>.</param>
/// <param name="Content">See <see cref="Message.Content"/>.</param>
/// <param name="TempId">See <see cref="Message.TempId"/>.</param>
/// <param name="Blocks">Ids of <see cref="Block"/>s, any one of which refuses the message.</param>
public sealed record MessageDraft(
    Guid Id, Guid ConversationId, Guid SenderId, string Type, string Content, string? TempId, IReadOnlyList<Guid> Blocks);

/// <summary>What became of a draft.</summary>
public enum AppendOutcome
{
    /// <summary>It is committed, under the next number of its conversation.</summary>
    Stored,

    /// <summary>It was there already: the message of the first time comes back, and nobody is told again.</summary>
    Repeated,

    /// <summary>A block was in force. Nothing was stored.</summary>
    Blocked,

    /// <summary>There is no such conversation. Nothing was stored.</summary>
    NoConversation,

    /// <summary>The database is away, or the queue is full. To be repeated under the same tempId.</summary>
    Unavailable,
}

/// <summary>The answer to an append.</summary>
/// <param name="Outcome">What became of the draft.</param>
/// <param name="Message">The message, if it is stored.</param>
public readonly record struct Appended(AppendOutcome Outcome, Message? Message);
