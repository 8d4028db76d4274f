namespace Chat.Invariants;

/// <summary>I8 and I9: what an answer is worth.</summary>
public static class AckChecks
{
    /// <summary>I8. An error tells the truth as well: then nothing is there, unless another try of the same send put it there.</summary>
    public static IEnumerable<string> AcksAreTruthful(History history)
    {
        var own = history.Views.SelectMany(view => view.Messages.Values.SelectMany(messages => messages).Where(message => message.SenderId == view.UserId))
            .DistinctBy(message => message.Id).ToDictionary(message => message.Id);
        foreach (var tries in SendAttempts.BySend(history))
        {
            foreach (var send in tries)
            {
                if (send.Acked is not { } acked)
                    continue;
                var echoed = send.Response!.Payload.TryGetProperty("tempId", out var tempId) ? tempId.GetString() : null;
                // The ack of a send without one says an empty one.
                if ((echoed ?? "") != (send.TempId ?? "") || acked.TempId != send.TempId)
                    yield return $"the ack says tempId {echoed} and {acked.TempId} ({send})";
                if (own.TryGetValue(acked.Id, out var stored) && stored != acked)
                    yield return $"the ack says {acked} of {acked.SentAt}, stored is {stored} of {stored.SentAt} ({send})";
                if (tries[0].Acked is { } first && first != acked)
                    yield return $"the repeat got {acked}, the first try {first} ({send})";
                if (!tries.Any(other => other.MayHaveStored(acked)))
                    yield return $"the ack says {acked}, which no try said ({send})";
            }

            if (tries.Any(send => send.MayBeStored()))
                continue;
            // By tempId where there is one; else by what it says, which nobody else may have said.
            var said = history.Operations.Count(send => send.Request == Request.Send && send.UserId == tries[0].UserId && send.ConversationId == tries[0].ConversationId && send.Content == tries[0].Content);
            var there = own.Values.FirstOrDefault(message => tries[0].TempId is not null
                ? message.SenderId == tries[0].UserId && message.ConversationId == tries[0].ConversationId && message.TempId == tries[0].TempId
                : message.TempId is null && said == 1 && tries[0].MayHaveStored(message));
            if (there is not null)
                yield return $"{there} is stored and every try was refused ({string.Join("; ", tries)})";
        }
    }

    /// <summary>I9.</summary>
    public static IEnumerable<string> ReadYourWrites(History history)
    {
        var acked = history.Operations.Where(send => send.Acked is not null).ToLookup(send => (send.UserId, send.ConversationId));
        foreach (var look in history.Operations.Where(look => look is { Request: Request.Fetch, Response.IsError: false }))
        {
            var page = look.Response!.Payload.GetProperty("messages").EnumerateArray().Select(Message.Read).ToArray();
            var until = look.Response.Payload.GetProperty("hasMore").GetBoolean() ? page[^1].Seq : long.MaxValue;
            var ids = page.Select(message => message.Id).ToHashSet();
            foreach (var send in acked[(look.UserId, look.ConversationId)])
            {
                if (send.Response!.At < look.Start && send.Acked!.Seq > look.UpTo && send.Acked.Seq <= until && !ids.Contains(send.Acked.Id))
                    yield return $"{send.Acked} was acknowledged at {send.Response.At.TotalMilliseconds:0} ms and not shown to its sender later ({look})";
            }
        }
    }
}
