namespace Chat.Invariants;

/// <summary>I13: who must not hear of it.</summary>
public static class PrivacyChecks
{
    /// <summary>I13.</summary>
    public static IEnumerable<string> NoUnauthorizedDelivery(History history) =>
        ToNonMembers(history).Concat(AfterExpiry(history)).Concat(AcrossBlocks(history)).Concat(StoredAcrossBlocks(history));

    private static IEnumerable<string> ToNonMembers(History history)
    {
        var members = history.Conversations.ToDictionary(conversation => conversation.Id, conversation => conversation.Members);
        foreach (var connection in history.Connections)
        {
            var contacts = history.Conversations.Where(conversation => conversation.Members.Contains(connection.UserId)).SelectMany(conversation => conversation.Members).ToHashSet();
            var blocked = history.Operations.Where(operation => operation.Request is Request.Block or Request.Unblock && operation.UserId == connection.UserId).Select(operation => operation.Other!.Value).ToHashSet();
            foreach (var frame in connection.Frames)
            {
                if (frame.Type != "error" && frame.ConversationId is { } id && (!members.TryGetValue(id, out var own) || !own.Contains(connection.UserId)))
                    yield return $"{connection} got {frame.Type} of {ShortId.Of(id)} and is no member";
                if (frame.Message is { TempId: not null } message && message.SenderId != connection.UserId)
                    yield return $"{connection} was shown the tempId of {message}";
                if (Subjects(frame).FirstOrDefault(about => !contacts.Contains(about.UserId)) is { Saying: not null } stranger)
                    yield return $"{connection} was told {stranger.Saying} of {ShortId.Of(stranger.UserId)} and shares no conversation with them";
                if (frame.Type is "block.added" or "block.removed" && !blocked.Contains(frame.GetGuid("userId")))
                    yield return $"{connection} got {frame.Type} of {ShortId.Of(frame.GetGuid("userId"))} and never asked for it";
            }
        }
    }

    private static IEnumerable<string> AfterExpiry(History history) =>
        from connection in history.Connections
        where connection.ExpiresAt is not null
        from frame in connection.Frames
        where frame.At > connection.ExpiresAt + history.ExpiryGrace
        select $"{connection} got {frame.Type} at {frame.At.TotalMilliseconds:0} ms; its token ran out at {connection.ExpiresAt!.Value.TotalMilliseconds:0} ms";

    // The window: from the block's ack, and what is allowed for nodes to forget, up to the start of the unblock. What
    // was caused before may be on its way through queues and through Redis, and looks no different from what was
    // caused after it, so the allowance is for the time of arrival.
    private static IEnumerable<string> AcrossBlocks(History history)
    {
        foreach (var connection in history.Connections)
        {
            var windows = new Dictionary<Guid, (TimeSpan From, TimeSpan To)[]>();
            foreach (var frame in connection.Frames)
            {
                foreach (var (about, saying, _) in Subjects(frame).Where(about => about.UserId != connection.UserId && about.IsNews))
                {
                    if (!windows.TryGetValue(about, out var apart))
                        windows.Add(about, apart = [.. BlockTimeline.CertainIntervals(history, connection.UserId, about)]);
                    if (apart.FirstOrDefault(window => frame.At > window.From + history.BlockGrace && frame.At < window.To) is { From.Ticks: > 0 } window)
                        yield return $"{connection} was told {saying} of {ShortId.Of(about)} at {frame.At.TotalMilliseconds:0} ms, apart since {window.From.TotalMilliseconds:0} ms";
                }
            }
        }
    }

    // Here nothing is allowed for: a try counts only if it began after the ack and ended before the unblock began.
    private static IEnumerable<string> StoredAcrossBlocks(History history)
    {
        var stored = history.StoredMessages().DistinctBy(message => message.Id).ToArray();
        var windows = new Dictionary<(Guid Sender, Guid ConversationId), (TimeSpan From, TimeSpan To)[]>();
        foreach (var tries in SendAttempts.BySend(history))
        {
            var lane = (tries[0].UserId, tries[0].ConversationId!.Value);
            if (!windows.TryGetValue(lane, out var apart))
                windows.Add(lane, apart = [.. BlockedIntervals(history, lane.UserId, lane.Value)]);
            var isBarred = apart.Any(window => tries.All(send => send.Start > window.From && (send.Response?.At ?? TimeSpan.MaxValue) <= window.To));
            if (isBarred && tries.Select(send => stored.FirstOrDefault(send.MayHaveStored)).FirstOrDefault(found => found is not null) is { } message
                && history.Operations.Count(send => send.Request == Request.Send && send.MayHaveStored(message)) == tries.Count)
                yield return $"{message} was stored across a block ({string.Join("; ", tries)})";
        }
    }

    // A block says who may write to whom in a conversation of two.
    private static IEnumerable<(TimeSpan From, TimeSpan To)> BlockedIntervals(History history, Guid sender, Guid conversationId)
    {
        var members = history.Conversations.First(conversation => conversation.Id == conversationId).Members;
        return members.Count == 2 ? BlockTimeline.CertainIntervals(history, sender, members.First(member => member != sender)) : [];
    }

    // Whom a frame tells of, and whether it gives anything away: in status.bulk "offline" is what a block shows, and
    // when somebody was last seen may be from before it.
    private static IEnumerable<(Guid UserId, string Saying, bool IsNews)> Subjects(ReceivedFrame frame) => frame.Type switch
    {
        "user.online" or "user.offline" or "message.delivered_update" => [(frame.GetGuid("userId"), frame.Type, true)],
        "typing.update" => [(frame.GetGuid("userId"), frame.Type, true)],
        "message.read_update" => [(frame.GetGuid("readBy"), frame.Type, true)],
        "status.bulk" => frame.Payload.GetProperty("users").EnumerateArray().Select(status =>
            (status.GetProperty("userId").GetGuid(), frame.Type, status.GetProperty("online").GetBoolean())),
        _ => [],
    };
}

/// <summary>I14: what stays behind.</summary>
public static class LeakChecks
{
    /// <summary>I14, as far as it can be counted: memory and timers are for a bench.</summary>
    public static IEnumerable<string> NothingLeaks(History history) => history.Residues
        .Where(left => left is not { Connections: 0, Feeds: 0, Subscriptions: 0, Leases: 0 })
        .Select(left => $"everybody has left, and there is still {left}");
}
