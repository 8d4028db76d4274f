using System.Globalization;

namespace Chat.Invariants;

/// <summary>Checks I12: the events are sufficient to keep a client up to date.</summary>
public static class ReplayChecks
{
    /// <summary>
    /// I12, except for unread counts and presence, which I10 and I11 check. The protocol does not send every cursor: those
    /// of a user behind a block are withheld, and a user's other devices receive the unread count instead of the cursor. In
    /// these cases a client's cursor may be behind, but never ahead.
    /// </summary>
    public static IEnumerable<string> ReplayMatchesSnapshot(History history)
    {
        foreach (var (connection, state, current) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var type in state.UnknownEvents)
                yield return $"{connection} received the unknown event {type}";
            if (!state.Blocks.SetEquals(current.Blocks))
                yield return $"{connection} has the blocks {List(state.Blocks)}, expected {List(current.Blocks)}";
            foreach (var message in state.Messages)
            {
                var stored = current.Messages.GetValueOrDefault(message.ConversationId)?.FirstOrDefault(stored => stored.Id == message.Id);
                if (stored is not null && stored != message)
                    yield return string.Create(CultureInfo.InvariantCulture,
                        $"{connection} has {message} (tempId {message.TempId}), but {stored} (tempId {stored.TempId}) is stored");
            }

            foreach (var conversation in current.Conversations.Values)
            {
                if (state.Seq.GetValueOrDefault(conversation.Id) != conversation.Seq
                    || (state.LastMessage.TryGetValue(conversation.Id, out var last)
                    ? last.Id : null as Guid?) != conversation.LastMessageId)
                    yield return $"{connection} has {ShortId.Of(conversation.Id)} up to {state.Seq.GetValueOrDefault(conversation.Id)}, "
                        + $"expected {conversation.Seq}";
                foreach (var (member, cursor) in conversation.Cursors)
                {
                    var own = state.CursorOf(conversation.Id, member);
                    var isAhead = own.ReadUpTo > cursor.ReadUpTo || own.DeliveredUpTo > cursor.DeliveredUpTo;
                    var isSent = member != connection.UserId
                        && !BlockTimeline.MayBeBlockedSince(history, connection.UserId, member, connection.Opening);
                    if (isAhead || (isSent && own != cursor))
                        yield return $"{connection} has {own} of {ShortId.Of(member)} in {ShortId.Of(conversation.Id)}, expected {cursor}";
                }
            }
        }
    }

    private static string List(IEnumerable<Guid> ids) => $"[{string.Join(", ", ids.Select(ShortId.Of).Order(StringComparer.Ordinal))}]";
}
