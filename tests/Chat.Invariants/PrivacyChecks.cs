namespace Chat.Invariants;

/// <summary>Checks I13: events that a user must not receive.</summary>
public static class PrivacyChecks
{
    /// <summary>I13. No event reaches a non-member, a blocked user or an expired connection.</summary>
    public static IEnumerable<string> NoUnauthorizedDelivery(History history) =>
        ToNonMembers(history).Concat(AfterExpiry(history)).Concat(AcrossBlocks(history)).Concat(StoredAcrossBlocks(history));

    private static IEnumerable<string> ToNonMembers(History history)
    {
        var members = history.Conversations.ToDictionary(conversation => conversation.Id, conversation => conversation.Members);
        foreach (var connection in history.Connections)
        {
            var contacts = history.Conversations.Where(conversation => conversation.Members.Contains(connection.UserId))
                .SelectMany(conversation => conversation.Members).ToHashSet();
            var blocked = history.Operations
                .Where(operation => operation.Request is Request.Block or Request.Unblock && operation.UserId == connection.UserId)
                .Select(operation => operation.Other!.Value).ToHashSet();
            foreach (var frame in connection.Frames)
            {
                if (frame.Type != "error"
                    && frame.ConversationId is { } id && (!members.TryGetValue(id, out var own) || !own.Contains(connection.UserId)))
                    yield return $"{connection} received {frame.Type} of {ShortId.Of(id)} and is not a member";
                if (frame.Message is { TempId: not null } message && message.SenderId != connection.UserId)
                    yield return $"{connection} received the tempId of {message}";
                if (Subjects(frame).FirstOrDefault(subject => !contacts.Contains(subject.UserId)) is { Type: not null } stranger)
                    yield return $"{connection} received {stranger.Type} of {ShortId.Of(stranger.UserId)} and shares no conversation with "
                        + $"them";
                if (frame.Type is "block.added" or "block.removed" && !blocked.Contains(frame.GetGuid("userId")))
                    yield return $"{connection} received {frame.Type} of {ShortId.Of(frame.GetGuid("userId"))} and never requested it";
            }
        }
    }

    private static IEnumerable<string> AfterExpiry(History history) =>
        from connection in history.Connections
        where connection.ExpiresAt is not null
        from frame in connection.Frames
        where frame.At > connection.ExpiresAt + history.ExpiryGrace
        select $"{connection} received {frame.Type} at {frame.At.TotalMilliseconds:0} ms; its token expired at "
            + $"{connection.ExpiresAt!.Value.TotalMilliseconds:0} ms";

    // The interval: from the block's ack plus the grace period for cache invalidation to the start of the unblock. An event
    // caused before the block may still be in a queue or in Redis, and cannot be told from one caused after it, so the grace
    // period applies to the time of receipt.
    private static IEnumerable<string> AcrossBlocks(History history)
    {
        foreach (var connection in history.Connections)
        {
            var intervals = new Dictionary<Guid, (TimeSpan From, TimeSpan To)[]>();
            foreach (var frame in connection.Frames)
            {
                foreach (var (subject, type, _) in Subjects(frame)
                    .Where(subject => subject.UserId != connection.UserId && subject.IsDisclosure))
                {
                    if (!intervals.TryGetValue(subject, out var blocked))
                        intervals.Add(subject, blocked = [.. BlockTimeline.CertainIntervals(history, connection.UserId, subject)]);
                    if (blocked.FirstOrDefault(
                        block => frame.At > block.From + history.BlockGrace && frame.At < block.To) is { From.Ticks: > 0 } block)
                        yield return $"{connection} received {type} of {ShortId.Of(subject)} at {frame.At.TotalMilliseconds:0} ms, "
                            + $"blocked since {block.From.TotalMilliseconds:0} ms";
                }
            }
        }
    }

    // No grace period here: an attempt counts only if it started after the ack and ended before the unblock started.
    private static IEnumerable<string> StoredAcrossBlocks(History history)
    {
        var stored = history.StoredMessages().DistinctBy(message => message.Id).ToArray();
        var intervals = new Dictionary<(Guid Sender, Guid ConversationId), (TimeSpan From, TimeSpan To)[]>();
        foreach (var attempts in SendAttempts.BySend(history))
        {
            var key = (attempts[0].UserId, attempts[0].ConversationId!.Value);
            if (!intervals.TryGetValue(key, out var blocked))
                intervals.Add(key, blocked = [.. BlockedIntervals(history, key.UserId, key.Value)]);
            var isForbidden =
                blocked.Any(block => attempts.All(send => send.Start > block.From && (send.Response?.At ?? TimeSpan.MaxValue) <= block.To));
            if (isForbidden && attempts.Select(send => stored.FirstOrDefault(send.MayHaveStored))
                .FirstOrDefault(found => found is not null) is { } message
                && history.Operations.Count(send => send.Request == Request.Send && send.MayHaveStored(message)) == attempts.Count)
                yield return $"{message} was stored despite a block ({string.Join("; ", attempts)})";
        }
    }

    // A block forbids sending in direct conversations only.
    private static IEnumerable<(TimeSpan From, TimeSpan To)> BlockedIntervals(History history, Guid sender, Guid conversationId)
    {
        var members = history.Conversations.First(conversation => conversation.Id == conversationId).Members;
        return members.Count == 2 ? BlockTimeline.CertainIntervals(history, sender, members.First(member => member != sender)) : [];
    }

    // The users that a frame is about, and whether it discloses anything: in status.bulk, "offline" is what a blocked user
    // sees, and the last-seen time may be from before the block.
    private static IEnumerable<(Guid UserId, string Type, bool IsDisclosure)> Subjects(ReceivedFrame frame) => frame.Type switch
    {
        "user.online" or "user.offline" or "message.delivered_update" => [(frame.GetGuid("userId"), frame.Type, true)],
        "typing.update" => [(frame.GetGuid("userId"), frame.Type, true)],
        "message.read_update" => [(frame.GetGuid("readBy"), frame.Type, true)],
        "status.bulk" => frame.Payload.GetProperty("users").EnumerateArray().Select(status =>
            (status.GetProperty("userId").GetGuid(), frame.Type, status.GetProperty("online").GetBoolean())),
        _ => [],
    };
}
