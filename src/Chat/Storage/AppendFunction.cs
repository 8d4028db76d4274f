using System.Text.Json;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Functions;
using static Weasel.Postgresql.SchemaUtils;

namespace Chat.Storage;

/// <summary>
/// The log's transaction as a function in the database: a batch takes one round trip, and holds its locks for no
/// longer than PostgreSQL itself needs. The functions are part of the schema, like the tables that they write.
/// </summary>
/// <remarks>
/// <para>
/// There are two. <c>append_new</c> takes it for granted that all is new: it moves the heads on, which locks them, looks
/// for blocks, and inserts. A repeat is one in the same conversation; so whatever it repeats was committed before the
/// head was locked, and the primary key is certain to refuse it. If that, a block, or a head that is not there, is in the
/// way, it fails and has stored nothing.
/// </para>
/// <para>
/// <c>append_batch</c> locks and looks first, and stores all or nothing: if something is in the way, it says which are not
/// to be stored, and the rest is a batch of its own. It follows when <c>append_new</c> has failed, and stands in for it
/// where that is likely, since what was inserted in vain is room that PostgreSQL has to win back.
/// </para>
/// <para>
/// Both lock heads in the order of their ids, so that batches of several nodes cannot deadlock: the one sorts them, the
/// other gets them sorted, and finds them one after the other. At READ COMMITTED each statement of a function takes a
/// snapshot of its own, so the looks that follow see whatever was committed before the locks were given. The planner's
/// choices are taken from it: it would plan anew for each batch, which costs more than a small batch itself, or read whole
/// tables because they were small when it looked last. What is right here is the primary keys, always.
/// </para>
/// </remarks>
internal static class AppendFunction
{
    private const string Name = "append_batch";
    private const string NameOfNew = "append_new";

    /// <summary>The SQLSTATE with which <c>append_new</c> fails where the primary key does not.</summary>
    private const string NotAllNew = "CHAT1";

    // A row a message: its conversation is the heads-th of the batch, and it is the steps-th message there. A row a
    // conversation: how many messages the batch has for it, the last one's id, and its time. A row a block to look for: its
    // id, and the place of the message that it would refuse. Documents come without their numbers and without their "}".
    private const string Signature =
        "ids uuid[], senders uuid[], documents text[], heads integer[], steps integer[], conversations uuid[], sizes integer[], latest uuid[], times text[], blocks uuid[], blocked integer[]";

    // What becomes of a conversation's head h by the batch's part c of it.
    private const string MovedOn = """
            SET seq = h.seq + c.size, updated_at = c.at::timestamptz,
                data = jsonb_build_object('id', h.id, 'seq', h.seq + c.size, 'lastMessageId', c.latest, 'updatedAt', c.at)
        """;

    /// <summary>What the schema gets.</summary>
    public static IEnumerable<Function> In(TableNames tables) =>
    [
        Define(tables, NameOfNew, "bigint[]", $$"""
            WITH moved AS (
                UPDATE {{tables.ConversationHead}} h
        {{MovedOn}}
                FROM unnest(conversations, sizes, latest, times) WITH ORDINALITY AS c(id, size, latest, at, place) WHERE h.id = c.id
                RETURNING h.seq - c.size AS seq, c.place
            )
            SELECT array_agg(m.seq ORDER BY m.place) INTO counters FROM moved m;

            IF array_length(counters, 1) IS DISTINCT FROM array_length(conversations, 1)
                OR EXISTS (SELECT FROM {{tables.Block}} b WHERE b.id = ANY(blocks))
            THEN
                RAISE EXCEPTION 'not all of the batch can be stored' USING ERRCODE = '{{NotAllNew}}';
            END IF;

        {{Insert(tables)}}
            RETURN counters;
        """),
        Define(tables, Name, "TABLE(is_stored boolean, place integer, number bigint, earlier jsonb)", $$"""
            SELECT array_agg(l.seq ORDER BY l.place) INTO counters FROM (
                SELECT h.seq, c.place FROM unnest(conversations) WITH ORDINALITY AS c(id, place)
                JOIN {{tables.ConversationHead}} h ON h.id = c.id ORDER BY h.id FOR UPDATE OF h
            ) l;

            IF array_length(counters, 1) IS DISTINCT FROM array_length(conversations, 1)
                OR EXISTS (SELECT FROM {{tables.Message}} m WHERE m.id = ANY(ids))
                OR EXISTS (SELECT FROM {{tables.Block}} b WHERE b.id = ANY(blocks))
            THEN
                RETURN QUERY
                SELECT false, d.place::integer, h.seq, m.data
                FROM unnest(ids, heads) WITH ORDINALITY AS d(id, head, place)
                LEFT JOIN {{tables.ConversationHead}} h ON h.id = conversations[d.head]
                LEFT JOIN {{tables.Message}} m ON m.id = d.id
                WHERE h.seq IS NULL OR m.id IS NOT NULL
                    OR EXISTS (SELECT FROM unnest(blocks, blocked) AS r(id, place) JOIN {{tables.Block}} b ON b.id = r.id WHERE r.place = d.place);
                RETURN;
            END IF;

            UPDATE {{tables.ConversationHead}} h
        {{MovedOn}}
            FROM unnest(conversations, sizes, latest, times) AS c(id, size, latest, at) WHERE h.id = c.id;
        {{Insert(tables)}}
            RETURN QUERY SELECT true, c.place::integer, c.number, NULL::jsonb FROM unnest(counters) WITH ORDINALITY AS c(number, place);
        """),
    ];

    // As PostgreSQL itself would write it down, so that db-assert finds no difference.
    private static Function Define(TableNames tables, string name, string returns, string body) => new(
        new PostgresqlObjectName(tables.Schema, name, IdentifierUsage.Function),
        $"""
        CREATE OR REPLACE FUNCTION {tables.Schema}.{name}({Signature})
         RETURNS {returns}
         LANGUAGE plpgsql
         SET plan_cache_mode TO 'force_generic_plan'
         SET enable_seqscan TO 'off'
         SET enable_hashjoin TO 'off'
         SET enable_mergejoin TO 'off'
         SET jit TO 'off'
        AS $function$
        DECLARE
            counters bigint[];
        BEGIN
        {body}
        END
        $function$;
        """,
        [$"DROP FUNCTION IF EXISTS {tables.Schema}.{name}(uuid[], uuid[], text[], integer[], integer[], uuid[], integer[], uuid[], text[], uuid[], integer[]);"]);

    private static string Insert(TableNames tables) => $$"""
            INSERT INTO {{tables.Message}} (id, data, conversation_id, seq, changed_seq, sender_id)
            SELECT n.id, (n.document || ',"seq":' || n.seq || ',"changedSeq":' || n.seq || '}')::jsonb, n.conversation_id, n.seq, n.seq, n.sender_id
            FROM (
                SELECT d.id, d.sender_id, d.document, conversations[d.head] AS conversation_id, counters[d.head] + d.step AS seq
                FROM unnest(ids, senders, documents, heads, steps) AS d(id, sender_id, document, head, step)
            ) n;
        """;

    /// <summary>Appends what is new and allowed, in transactions of its own or in the connection's present one.</summary>
    /// <param name="connection">Where.</param>
    /// <param name="tables">Which installation.</param>
    /// <param name="candidates">The messages; no id twice. In one conversation, their order is that of their numbers.</param>
    /// <param name="isLikelyNew">Whether to try without a look first.</param>
    /// <param name="patience">When to give up.</param>
    /// <returns>What became of each, in the same order.</returns>
    public static async Task<Appended[]> CallAsync(
        NpgsqlConnection connection, TableNames tables, IReadOnlyList<AppendCandidate> candidates, bool isLikelyNew, CancellationToken patience)
    {
        var outcomes = new Appended[candidates.Count];
        if (isLikelyNew)
        {
            var all = new AppendBatch(candidates);
            if (await TryNewAsync(connection, tables, all, patience) is { } counters)
            {
                foreach (var (place, outcome) in all.Numbered(counters))
                    outcomes[place] = outcome;
                return outcomes;
            }
        }

        var open = Enumerable.Range(0, candidates.Count).ToArray();
        while (open.Length > 0)
        {
            var batch = new AppendBatch([.. open.Select(place => candidates[place])]);
            var (isStored, verdicts) = await TryAsync(connection, tables, batch, patience);
            foreach (var (place, outcome) in isStored ? batch.Numbered([.. verdicts.Select(verdict => verdict.Number!.Value)]) : verdicts.Select(Refusal))
                outcomes[open[place]] = outcome;
            if (isStored)
                break;
            var refused = verdicts.Select(verdict => verdict.Place).ToHashSet();
            open = [.. open.Where((_, place) => !refused.Contains(place))];
        }

        return outcomes;
    }

    /// <returns>The conversations' counters before the batch; null if nothing is stored, because not all of it can be.</returns>
    private static async Task<long[]?> TryNewAsync(NpgsqlConnection connection, TableNames tables, AppendBatch batch, CancellationToken patience)
    {
        await using var call = await PrepareAsync(connection, tables, NameOfNew, batch, patience);
        try
        {
            return (long[])(await call.ExecuteScalarAsync(patience))!;
        }
        catch (PostgresException failure) when (failure.SqlState is PostgresErrorCodes.UniqueViolation or NotAllNew)
        {
            return null;
        }
    }

    private static async Task<(bool IsStored, List<Verdict> Verdicts)> TryAsync(NpgsqlConnection connection, TableNames tables, AppendBatch batch, CancellationToken patience)
    {
        await using var call = await PrepareAsync(connection, tables, Name, batch, patience);
        var isStored = false;
        var verdicts = new List<Verdict>(batch.Conversations);
        await using var reader = await call.ExecuteReaderAsync(patience);
        while (await reader.ReadAsync(patience))
        {
            isStored = reader.GetBoolean(0);
            verdicts.Add(new Verdict(
                reader.GetInt32(1) - 1,
                reader.IsDBNull(2) ? null : reader.GetInt64(2),
                reader.IsDBNull(3) ? null : JsonSerializer.Deserialize(reader.GetString(3), StorageJson.Wire.Message)));
        }

        return (isStored, verdicts);
    }

    private static async Task<NpgsqlCommand> PrepareAsync(NpgsqlConnection connection, TableNames tables, string name, AppendBatch batch, CancellationToken patience)
    {
        var call = new NpgsqlCommand($"select * from {tables.Schema}.{name}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", connection);
        // The caller's patience alone: to break a slow commit off sooner, and do it again, would only make it slower.
        call.CommandTimeout = 0;
        batch.AddTo(call.Parameters);

        // Once a connection, and not left to the driver's own judgement: it prepares along with the fifth use, and loses
        // its place in PostgreSQL's answers if just that one fails.
        await call.PrepareAsync(patience);
        return call;
    }

    private static (int Place, Appended Outcome) Refusal(Verdict verdict) => (verdict.Place, verdict switch
    {
        { Number: null } => new Appended(AppendOutcome.NoConversation, null),
        { Earlier: null } => new Appended(AppendOutcome.Blocked, null),
        _ => new Appended(AppendOutcome.Repeated, verdict.Earlier),
    });

    /// <summary>A row of the function's answer.</summary>
    /// <param name="Place">Of the conversation, if the batch was stored; else of a candidate that is not to be stored. From 0.</param>
    /// <param name="Number">The conversation's counter before the batch; null if there is no such conversation.</param>
    /// <param name="Earlier">The message, if it was there already.</param>
    private readonly record struct Verdict(int Place, long? Number, Message? Earlier);
}
