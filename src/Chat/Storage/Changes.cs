using System.Text.Json;
using Npgsql;

namespace Chat.Storage;

/// <summary>What lies past a number: the one question that everybody asks who may have missed something.</summary>
internal sealed class Changes(NpgsqlDataSource database, Tables tables)
{
    /// <summary>
    /// The messages whose <see cref="Message.ChangedSeq"/> is past the number given for their conversation, ascending by
    /// it in each.
    /// </summary>
    /// <param name="positions">Conversations, each with the last number that is known.</param>
    /// <param name="limit">The most to return of each.</param>
    public async Task<List<Message>> PastAsync(IReadOnlyList<(Guid ConversationId, long After)> positions, int limit)
    {
        // A message that was never changed is found by its seq, one that was by the index of just those.
        await using var command = database.CreateCommand($"""
            select x.data
            from unnest($1, $2) with ordinality k(id, after, place)
            cross join lateral (
                (select data, changed_seq from {tables.Message} where conversation_id = k.id and seq > k.after and changed_seq = seq
                 order by seq limit {limit})
                union all
                (select data, changed_seq from {tables.Message} where conversation_id = k.id and changed_seq > k.after and changed_seq <> seq
                 order by changed_seq limit {limit})
                order by changed_seq limit {limit}) x
            order by k.place, x.changed_seq
            """);
        command.Parameters.Add(new() { Value = positions.Select(position => position.ConversationId).ToArray() });
        command.Parameters.Add(new() { Value = positions.Select(position => position.After).ToArray() });
        var messages = new List<Message>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            messages.Add(JsonSerializer.Deserialize(reader.GetString(0), ChatJson.Wire.Message)!);
        return messages;
    }
}
