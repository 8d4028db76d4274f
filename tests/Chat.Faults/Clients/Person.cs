using Chat.Invariants;

namespace Chat.Faults;

/// <summary>A user who chats with one other user, on several devices.</summary>
/// <param name="User">The user.</param>
/// <param name="Conversation">Their conversation.</param>
/// <param name="Token">Their token.</param>
internal sealed record Person(User User, Conversation Conversation, string Token);

/// <summary>The outcome of one message over all attempts to send it.</summary>
/// <param name="TempId">The tempId of all attempts.</param>
/// <param name="Begun">When the first attempt began.</param>
/// <param name="Acked">When an attempt was acknowledged.</param>
/// <param name="MessageId">The message id.</param>
internal sealed record Saying(string TempId, TimeSpan Begun, TimeSpan? Acked, Guid? MessageId);
