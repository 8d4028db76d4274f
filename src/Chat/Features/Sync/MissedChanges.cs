using Chat.RateLimiting;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>A conversation with changes that the client has missed.</summary>
/// <param name="Id">The conversation.</param>
/// <param name="After">The last sequence number that the client has seen.</param>
/// <param name="Seq">The sequence number of the latest change.</param>
internal readonly record struct Missed(Guid Id, long After, long Seq);

/// <summary>The database queries of a sync.</summary>
internal sealed class MissedChanges(NpgsqlDataSource database, TableNames tables, ChangeReader changes, Limits limits)
{
    private const int MaxConversationsPerPart = 20;

    // A generous bound on a message's size without its content, in bytes.
    private const int MessageOverhead = 1024;

    /// <summary>
    /// Returns the user's conversations in a range of ids that have changes the client has not seen, or that it does not know;
    /// latest activity first.
    /// </summary>
    public async Task<IReadOnlyList<Missed>> BehindAsync(Guid userId, Dictionary<Guid, long> seen, Guid? after, Guid? until)
    {
        await using var command = database.CreateCommand($"""
            select h.id, coalesce(k.seq, 0), h.seq
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
            left join unnest($2, $3) k(id, seq) on k.id = h.id
            where m.user_id = $1 and (k.id is null or h.seq > k.seq) and h.id > $4 and h.id <= $5
            order by h.updated_at desc, h.id
            """)
            .With(userId)
            .With(seen.Keys.ToArray())
            .With(seen.Values.ToArray())
            .With(after ?? Guid.Empty)
            .With(until ?? Guid.AllBitsSet);
        return await command.ReadAllAsync(row => new Missed(row.GetGuid(0), row.GetInt64(1), row.GetInt64(2)));
    }

    /// <summary>
    /// Splits conversations into parts whose messages fit one frame together, whatever their length. A conversation with more
    /// is a part of its own and is truncated.
    /// </summary>
    public IEnumerable<IReadOnlyList<Missed>> Parts(IReadOnlyList<Missed> behind)
    {
        var maxMessages = SyncAnswer.MaxBytes / ((limits.MaxContentLength * 4) + MessageOverhead);
        var part = new List<Missed>();
        var messages = 0L;
        foreach (var conversation in behind)
        {
            var count = conversation.Seq - conversation.After;
            if (part.Count > 0 && (part.Count == MaxConversationsPerPart || messages + count > maxMessages))
            {
                yield return part;
                (part, messages) = ([], 0);
            }

            part.Add(conversation);
            messages += count;
        }

        if (part.Count > 0)
            yield return part;
    }

    /// <summary>Loads the changes after each sequence number: as many as a reply may hold, and one more.</summary>
    public async Task<ILookup<Guid, Message>> LoadAsync(IReadOnlyList<Missed> part) =>
        (await changes.ReadAfterAsync([.. part.Select(missed => (missed.Id, missed.After))], SyncAnswer.MaxMessages + 1,
            SyncAnswer.MaxBytes)).ToLookup(message => message.ConversationId);
}
