using System.Text.Json;
using Npgsql;

namespace Chat.Storage;

/// <summary>Reads the messages changed after a sequence number: the query behind every catch-up.</summary>
internal sealed class ChangeReader(NpgsqlDataSource database, TableNames tables)
{
    /// <summary>
    /// Returns the messages whose <see cref="Message.ChangedSeq"/> is greater than the one given for their conversation, in
    /// ascending order per conversation. The limits are enforced by the database, so that nothing in excess is read.
    /// </summary>
    /// <param name="positions">Conversations, each with the last known sequence number.</param>
    /// <param name="maxMessages">The maximum number of messages per conversation.</param>
    /// <param name="maxBytes">
    /// The size per conversation, in bytes as stored, after which reading stops; the message that exceeds it is included.
    /// </param>
    public async Task<List<Message>> ReadAfterAsync(
        IReadOnlyList<(Guid ConversationId, long After)> positions, int maxMessages, int maxBytes)
    {
        await using var command = database.CreateCommand($"""
            select x.document
            from unnest($1, $2) with ordinality k(id, after, place)
            cross join lateral (
                with recursive part(number, document, bytes, messages) as (
                    select n.changed_seq, n.document, octet_length(n.document)::bigint, 1 from ({Next("k.after")}) n
                    union all
                    select n.changed_seq, n.document, p.bytes + octet_length(n.document), p.messages + 1
                    from part p cross join lateral ({Next("p.number")}) n
                    where p.bytes < {maxBytes} and p.messages < {maxMessages})
                select number, document from part) x
            order by k.place, x.number
            """)
            .WithColumn(positions, position => position.ConversationId)
            .WithColumn(positions, position => position.After);
        return await command.ReadAllAsync(row => JsonSerializer.Deserialize(row.GetString(0), StorageJson.Wire.Message)!);
    }

    // Messages never changed are found by seq, changed ones by a partial index.
    private string Next(string after) => $"""
        select m.changed_seq, m.data::text as document from (
            (select data, changed_seq from {tables.Message} where conversation_id = k.id and seq > {after} and changed_seq = seq order by seq limit 1)
            union all
            (select data, changed_seq from {tables.Message} where conversation_id = k.id and changed_seq > {after} and changed_seq <> seq
             order by changed_seq limit 1)
            order by changed_seq limit 1) m
        """;
}
