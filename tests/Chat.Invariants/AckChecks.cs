namespace Chat.Invariants;

/// <summary>Checks I8 and I9: the guarantees of an acknowledgement.</summary>
public static class AckChecks
{
    /// <summary>
    /// I8. Errors must be truthful, too: a send whose every attempt was rejected must not be stored.
    /// </summary>
    public static IEnumerable<string> AcksAreTruthful(History history)
    {
        var own = history.Views.SelectMany(
            view => view.Messages.Values.SelectMany(messages => messages).Where(message => message.SenderId == view.UserId))
            .DistinctBy(message => message.Id).ToDictionary(message => message.Id);
        foreach (var attempts in SendAttempts.BySend(history))
        {
            foreach (var send in attempts)
            {
                if (send.Acked is not { } acked)
                    continue;
                var echoed = send.Response!.Payload.TryGetProperty("tempId", out var tempId) ? tempId.GetString() : null;
                // For a send without a tempId, the ack has an empty one.
                if ((echoed ?? "") != (send.TempId ?? "") || acked.TempId != send.TempId)
                    yield return $"the ack has tempId {echoed} and {acked.TempId} ({send})";
                if (own.TryGetValue(acked.Id, out var stored) && stored != acked)
                    yield return $"the ack has {acked} of {acked.SentAt}, but {stored} of {stored.SentAt} is stored ({send})";
                if (attempts[0].Acked is { } first && first != acked)
                    yield return $"a retry was acknowledged with {acked}, the first attempt with {first} ({send})";
                if (!attempts.Any(other => other.MayHaveStored(acked)))
                    yield return $"the ack has {acked}, which no attempt sent ({send})";
            }

            if (attempts.Any(send => send.MayBeStored()))
                continue;
            // Matched by tempId, or else by content if no other send has the same.
            var sameContent = history.Operations.Count(send => send.Request == Request.Send && send.UserId == attempts[0].UserId
                && send.ConversationId == attempts[0].ConversationId && send.Content == attempts[0].Content);
            var found = own.Values.FirstOrDefault(message => attempts[0].TempId is not null
                ? message.SenderId == attempts[0].UserId
                && message.ConversationId == attempts[0].ConversationId && message.TempId == attempts[0].TempId
                : message.TempId is null && sameContent == 1 && attempts[0].MayHaveStored(message));
            if (found is not null)
                yield return $"{found} is stored although every attempt was rejected ({string.Join("; ", attempts)})";
        }
    }

    /// <summary>I9. A fetch that starts after an ack includes the acknowledged message.</summary>
    public static IEnumerable<string> ReadYourWrites(History history)
    {
        var acked = history.Operations.Where(send => send.Acked is not null).ToLookup(send => (send.UserId, send.ConversationId));
        foreach (var fetch in history.Operations.Where(fetch => fetch is { Request: Request.Fetch, Response.IsError: false }))
        {
            var page = fetch.Response!.Payload.GetProperty("messages").EnumerateArray().Select(Message.Read).ToArray();
            var until = fetch.Response.Payload.GetProperty("hasMore").GetBoolean() ? page[^1].Seq : long.MaxValue;
            var ids = page.Select(message => message.Id).ToHashSet();
            foreach (var send in acked[(fetch.UserId, fetch.ConversationId)])
            {
                if (send.Response!.At < fetch.Start
                    && send.Acked!.Seq > fetch.UpTo && send.Acked.Seq <= until && !ids.Contains(send.Acked.Id))
                    yield return $"{send.Acked} was acknowledged at {send.Response.At.TotalMilliseconds:0} ms and is missing from a later "
                        + $"fetch by its sender ({fetch})";
            }
        }
    }
}
