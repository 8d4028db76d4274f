using Chat.RateLimiting;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>A conversation in which something was missed.</summary>
/// <param name="Id">The conversation.</param>
/// <param name="After">The last number that the client has seen.</param>
/// <param name="Seq">The conversation's counter.</param>
internal readonly record struct Missed(Guid Id, long After, long Seq);

/// <summary>The two questions that a sync asks the database.</summary>
internal sealed class MissedChanges(NpgsqlDataSource database, TableNames tables, ChangeReader changes, Limits limits)
{
    private const int MaxConversationsPerPart = 20;

    // What a message has beside its content, by far.
    private const int BesideContent = 1024;

    /// <summary>The user's conversations in a range of ids whose counter is past what was seen, or of which nothing is known yet; the latest first.</summary>
    public async Task<IReadOnlyList<Missed>> BehindAsync(Guid userId, Dictionary<Guid, long> seen, Guid? after, Guid? until)
    {
        await using var command = database.CreateCommand($"""
            select h.id, coalesce(k.seq, 0), h.seq
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
            left join unnest($2, $3) k(id, seq) on k.id = h.id
            where m.user_id = $1 and (k.id is null or h.seq > k.seq) and h.id > $4 and h.id <= $5
            order by h.updated_at desc, h.id
            """);
        command.Parameters.Add(new() { Value = userId });
        command.Parameters.Add(new() { Value = seen.Keys.ToArray() });
        command.Parameters.Add(new() { Value = seen.Values.ToArray() });
        command.Parameters.Add(new() { Value = after ?? Guid.Empty });
        command.Parameters.Add(new() { Value = until ?? Guid.AllBitsSet });
        var behind = new List<Missed>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            behind.Add(new Missed(reader.GetGuid(0), reader.GetInt64(1), reader.GetInt64(2)));
        return behind;
    }

    /// <summary>In one part come conversations whose messages fit into one frame together, however long they are; or one by itself, which is cut.</summary>
    public IEnumerable<IReadOnlyList<Missed>> Parts(IReadOnlyList<Missed> behind)
    {
        var most = SyncAnswer.MaxBytes / ((limits.MaxContentLength * 4) + BesideContent);
        var part = new List<Missed>();
        var messages = 0L;
        foreach (var conversation in behind)
        {
            var own = conversation.Seq - conversation.After;
            if (part.Count > 0 && (part.Count == MaxConversationsPerPart || messages + own > most))
            {
                yield return part;
                (part, messages) = ([], 0);
            }

            part.Add(conversation);
            messages += own;
        }

        if (part.Count > 0)
            yield return part;
    }

    /// <summary>What lies past each number, as much as one answer may hold, and one more.</summary>
    public async Task<ILookup<Guid, Message>> LoadAsync(IReadOnlyList<Missed> part) =>
        (await changes.ReadAfterAsync([.. part.Select(one => (one.Id, one.After))], SyncAnswer.MaxMessages + 1, SyncAnswer.MaxBytes)).ToLookup(message => message.ConversationId);
}
