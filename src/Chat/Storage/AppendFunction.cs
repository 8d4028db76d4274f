using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Weasel.Postgresql;
using Weasel.Postgresql.Functions;
using static Weasel.Postgresql.SchemaUtils;

namespace Chat.Storage;

/// <summary>What the database says of one draft.</summary>
/// <param name="Draft">Its place in the batch, from 0.</param>
/// <param name="Outcome">What became of it.</param>
/// <param name="Seq">Its number, if it is new.</param>
/// <param name="Earlier">The message, if it was there already.</param>
internal readonly record struct AppendVerdict(int Draft, AppendOutcome Outcome, long Seq, Message? Earlier);

/// <summary>
/// The log's transaction as one function in the database: a batch takes one round trip, and holds its locks for no
/// longer than PostgreSQL itself needs. The function is part of the schema, like the tables that it writes.
/// </summary>
/// <remarks>
/// Its first statement locks the heads, in the order of their ids; the second one looks, numbers and inserts. At READ
/// COMMITTED each statement of a function takes a snapshot of its own, so the look sees whatever was committed before
/// the locks were given.
/// </remarks>
internal static class AppendFunction
{
    /// <summary>What the schema gets.</summary>
    public static Function In(Tables tables) => new(
        new PostgresqlObjectName(tables.Schema, "append_messages", IdentifierUsage.Function),
        // As PostgreSQL itself would write it down, so that db-assert finds no difference.
        $"""
        CREATE OR REPLACE FUNCTION {tables.Schema}.append_messages(ids uuid[], conversations uuid[], senders uuid[], documents jsonb[], times timestamp with time zone[], blocks uuid[], blocked integer[])
         RETURNS TABLE(draft integer, head bigint, number bigint, earlier jsonb)
         LANGUAGE plpgsql
        AS $function$
        BEGIN
            PERFORM 1 FROM {tables.ConversationHead} h WHERE h.id = ANY(conversations) ORDER BY h.id FOR UPDATE;
            RETURN QUERY
            WITH refused AS (
                SELECT r.place FROM unnest(blocks, blocked) AS r(id, place) JOIN {tables.Block} b ON b.id = r.id
            ), looked AS MATERIALIZED (
                SELECT d.place, d.id, d.conversation_id, d.sender_id, d.document, d.sent_at, h.seq AS last, m.data AS stored,
                    h.seq IS NOT NULL AND m.id IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.place = d.place) AS is_new
                FROM unnest(ids, conversations, senders, documents, times) WITH ORDINALITY AS d(id, conversation_id, sender_id, document, sent_at, place)
                LEFT JOIN {tables.ConversationHead} h ON h.id = d.conversation_id
                LEFT JOIN {tables.Message} m ON m.id = d.id
            ), numbered AS MATERIALIZED (
                SELECT l.*, l.last + row_number() OVER (PARTITION BY l.conversation_id ORDER BY l.place) AS seq FROM looked l WHERE l.is_new
            ), inserted AS (
                INSERT INTO {tables.Message} (id, data, conversation_id, seq, changed_seq, sender_id)
                SELECT n.id, n.document || jsonb_build_object('seq', n.seq, 'changedSeq', n.seq), n.conversation_id, n.seq, n.seq, n.sender_id
                FROM numbered n
            ), moved AS (
                UPDATE {tables.ConversationHead} h
                SET seq = n.seq, updated_at = n.sent_at, data = jsonb_build_object('id', n.conversation_id, 'seq', n.seq, 'lastMessageId', n.id, 'updatedAt', n.document -> 'sentAt')
                FROM (SELECT DISTINCT ON (a.conversation_id) a.* FROM numbered a ORDER BY a.conversation_id, a.place DESC) n
                WHERE h.id = n.conversation_id
            )
            SELECT l.place::integer, l.last, n.seq, l.stored FROM looked l LEFT JOIN numbered n ON n.place = l.place;
        END
        $function$;
        """,
        [$"DROP FUNCTION IF EXISTS {tables.Schema}.append_messages(uuid[], uuid[], uuid[], jsonb[], timestamp with time zone[], uuid[], integer[]);"]);

    /// <summary>Appends what is new of a batch, in a transaction of its own or in the connection's present one.</summary>
    /// <param name="connection">Where.</param>
    /// <param name="tables">Which installation.</param>
    /// <param name="drafts">The messages, still without their numbers; no id twice.</param>
    /// <param name="blocks">Ids of blocks, each with the place of the draft that it would refuse, from 1.</param>
    /// <param name="patience">When to give up.</param>
    /// <returns>A verdict on each draft, in no order.</returns>
    public static async Task<IReadOnlyList<AppendVerdict>> CallAsync(
        NpgsqlConnection connection, Tables tables, IReadOnlyList<Message> drafts, IReadOnlyList<(Guid Id, int Place)> blocks, CancellationToken patience)
    {
        await using var call = new NpgsqlCommand($"select * from {tables.Schema}.append_messages($1, $2, $3, $4, $5, $6, $7)", connection);
        // The caller's patience alone: to break a slow commit off sooner, and do it again, would only make it slower.
        call.CommandTimeout = 0;
        Add(call, NpgsqlDbType.Uuid, drafts, draft => draft.Id);
        Add(call, NpgsqlDbType.Uuid, drafts, draft => draft.ConversationId);
        Add(call, NpgsqlDbType.Uuid, drafts, draft => draft.SenderId);
        Add(call, NpgsqlDbType.Jsonb, drafts, draft => JsonSerializer.Serialize(draft, ChatJson.Wire.Message));
        Add(call, NpgsqlDbType.TimestampTz, drafts, draft => draft.SentAt);
        Add(call, NpgsqlDbType.Uuid, blocks, block => block.Id);
        Add(call, NpgsqlDbType.Integer, blocks, block => block.Place);

        // Once a connection, and not left to the driver's own judgement: it prepares along with the fifth use, and loses
        // its place in PostgreSQL's answers if just that one fails.
        await call.PrepareAsync(patience);
        var verdicts = new List<AppendVerdict>(drafts.Count);
        await using var reader = await call.ExecuteReaderAsync(patience);
        while (await reader.ReadAsync(patience))
            verdicts.Add(Verdict(reader));
        return verdicts;
    }

    private static AppendVerdict Verdict(NpgsqlDataReader row)
    {
        var draft = row.GetInt32(0) - 1;
        if (!row.IsDBNull(2))
            return new AppendVerdict(draft, AppendOutcome.Stored, row.GetInt64(2), null);
        if (row.IsDBNull(1))
            return new AppendVerdict(draft, AppendOutcome.NoConversation, 0, null);
        return row.IsDBNull(3)
            ? new AppendVerdict(draft, AppendOutcome.Blocked, 0, null)
            : new AppendVerdict(draft, AppendOutcome.Repeated, 0, JsonSerializer.Deserialize(row.GetString(3), ChatJson.Wire.Message));
    }

    private static void Add<TItem, TValue>(NpgsqlCommand call, NpgsqlDbType type, IReadOnlyList<TItem> items, Func<TItem, TValue> value)
    {
        var column = new TValue[items.Count];
        for (var i = 0; i < column.Length; i++)
            column[i] = value(items[i]);
        call.Parameters.Add(new NpgsqlParameter<TValue[]> { TypedValue = column, NpgsqlDbType = type | NpgsqlDbType.Array });
    }
}
