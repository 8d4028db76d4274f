using Chat.Invariants;

namespace Chat.Faults;

/// <summary>Somebody who talks with one other person, over some devices.</summary>
/// <param name="User">Who.</param>
/// <param name="Conversation">Where.</param>
/// <param name="Token">Their token.</param>
internal sealed record Person(User User, Conversation Conversation, string Token);

/// <summary>What became of one thing that somebody wanted to say, over all its tries.</summary>
/// <param name="TempId">The same in all of them.</param>
/// <param name="Begun">When the first one began.</param>
/// <param name="Acked">When one was answered with yes.</param>
/// <param name="MessageId">The message.</param>
internal sealed record Saying(string TempId, TimeSpan Begun, TimeSpan? Acked, Guid? MessageId);
