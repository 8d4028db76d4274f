using System.Text.Json;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Functions;
using static Weasel.Postgresql.SchemaUtils;

namespace Chat.Storage;

/// <summary>
/// The log's transaction as a database function: a batch takes one round trip, and holds its locks only as long as
/// PostgreSQL needs. The functions are part of the schema, like the tables that they write.
/// </summary>
/// <remarks>
/// <para>
/// There are two. <c>append_new</c> optimistically assumes that all messages are new: it advances the heads, which locks
/// them, checks for blocks, and inserts. A duplicate always belongs to the same conversation, so the original was
/// committed before the head was locked, and the primary key is certain to reject the duplicate. On a duplicate, a block
/// or a missing head it fails, and nothing is stored.
/// </para>
/// <para>
/// <c>append_batch</c> locks and checks first, and stores all or nothing: on a conflict it reports the messages that cannot
/// be stored, and the rest is retried as a batch of its own. It runs after <c>append_new</c> has failed, and instead of it
/// while conflicts are likely, since failed inserts leave dead rows to vacuum.
/// </para>
/// <para>
/// Both lock heads in the order of their ids, so that batches of several nodes cannot deadlock: the one sorts them, the
/// other receives them sorted and looks them up one by one. At READ COMMITTED each statement of a function takes its own
/// snapshot, so checks see everything committed before the locks were granted. The plans are fixed: the planner would plan
/// each batch anew, which costs more than a small batch itself, or choose sequential scans because the tables were small
/// at the last analyze. The right plan always uses the primary keys.
/// </para>
/// </remarks>
internal static class AppendFunction
{
    private const string Name = "append_batch";
    private const string NameOfNew = "append_new";

    /// <summary>The SQLSTATE with which <c>append_new</c> fails if the primary key does not.</summary>
    private const string NotAllNew = "CHAT1";

    // One row per message: the index of its conversation in the batch (heads) and its position among the batch's messages there
    // (steps). One row per conversation: its number of messages, and the id and time of the last one. One row per block to
    // check: its id, and the index of the message that it rejects. Documents lack their numbers and the closing "}".
    private const string Signature =
        "ids uuid[], senders uuid[], documents text[], heads integer[], steps integer[], conversations uuid[], sizes integer[], latest uuid[], times text[], blocks uuid[], blocked integer[]";

    // Advances a conversation's head h by its part c of the batch.
    private const string HeadUpdate = """
            SET seq = h.seq + c.size, updated_at = c.at::timestamptz,
                data = jsonb_build_object('id', h.id, 'seq', h.seq + c.size, 'lastMessageId', c.latest, 'updatedAt', c.at)
        """;

    /// <summary>Returns the functions for the schema.</summary>
    public static IEnumerable<Function> FunctionsFor(TableNames tables) =>
    [
        Define(tables, NameOfNew, "bigint[]", $$"""
            WITH moved AS (
                UPDATE {{tables.ConversationHead}} h
        {{HeadUpdate}}
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
        {{HeadUpdate}}
            FROM unnest(conversations, sizes, latest, times) AS c(id, size, latest, at) WHERE h.id = c.id;
        {{Insert(tables)}}
            RETURN QUERY SELECT true, c.place::integer, c.number, NULL::jsonb FROM unnest(counters) WITH ORDINALITY AS c(number, place);
        """),
    ];

    // Formatted as PostgreSQL stores it, so that db-assert finds no difference.
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

            INSERT INTO {{tables.Journal}} (conversations, upto)
            SELECT conversations, array_agg(c.counter + c.size ORDER BY c.place)
            FROM unnest(counters, sizes) WITH ORDINALITY AS c(counter, size, place);
        """;

    /// <summary>Appends the messages that are new and allowed, in transactions of its own or in the connection's current one.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="tables">The installation's tables.</param>
    /// <param name="candidates">The messages, with distinct ids. Within a conversation they are numbered in this order.</param>
    /// <param name="optimistic">Whether to try <c>append_new</c> first.</param>
    /// <param name="cancellation">Cancels the append.</param>
    /// <returns>The outcome of each message, in the same order.</returns>
    public static async Task<Appended[]> CallAsync(
        NpgsqlConnection connection, TableNames tables, IReadOnlyList<AppendCandidate> candidates, bool optimistic,
        CancellationToken cancellation)
    {
        var outcomes = new Appended[candidates.Count];
        if (optimistic)
        {
            var all = new AppendBatch(candidates);
            if (await TryNewAsync(connection, tables, all, cancellation) is { } counters)
            {
                foreach (var (index, outcome) in all.Numbered(counters))
                    outcomes[index] = outcome;
                return outcomes;
            }
        }

        var pending = Enumerable.Range(0, candidates.Count).ToArray();
        while (pending.Length > 0)
        {
            var batch = new AppendBatch([.. pending.Select(index => candidates[index])]);
            var (isStored, verdicts) = await TryAsync(connection, tables, batch, cancellation);
            var results = isStored ? batch.Numbered([.. verdicts.Select(verdict => verdict.Number!.Value)]) : verdicts.Select(Rejection);
            foreach (var (index, outcome) in results)
                outcomes[pending[index]] = outcome;
            if (isStored)
                break;
            var rejected = verdicts.Select(verdict => verdict.Index).ToHashSet();
            pending = [.. pending.Where((_, index) => !rejected.Contains(index))];
        }

        return outcomes;
    }

    /// <returns>The conversations' counters before the batch; null if it was rolled back because not all of it can be stored.</returns>
    private static async Task<long[]?> TryNewAsync(
        NpgsqlConnection connection, TableNames tables, AppendBatch batch, CancellationToken cancellation)
    {
        await using var call = await PrepareAsync(connection, tables, NameOfNew, batch, cancellation);
        try
        {
            return (long[])(await call.ExecuteScalarAsync(cancellation))!;
        }
        catch (PostgresException failure) when (failure.SqlState is PostgresErrorCodes.UniqueViolation or NotAllNew)
        {
            return null;
        }
    }

    private static async Task<(bool IsStored, List<Verdict> Verdicts)> TryAsync(
        NpgsqlConnection connection, TableNames tables, AppendBatch batch, CancellationToken cancellation)
    {
        await using var call = await PrepareAsync(connection, tables, Name, batch, cancellation);
        var isStored = false;
        var verdicts = new List<Verdict>(batch.Conversations);
        await using var reader = await call.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            isStored = reader.GetBoolean(0);
            verdicts.Add(new Verdict(
                reader.GetInt32(1) - 1,
                reader.IsDBNull(2) ? null : reader.GetInt64(2),
                reader.IsDBNull(3) ? null : JsonSerializer.Deserialize(reader.GetString(3), StorageJson.Wire.Message)));
        }

        return (isStored, verdicts);
    }

    private static async Task<NpgsqlCommand> PrepareAsync(
        NpgsqlConnection connection, TableNames tables, string name, AppendBatch batch, CancellationToken cancellation)
    {
        var call = new NpgsqlCommand($"select * from {tables.Schema}.{name}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", connection);
        // Only the caller's deadline applies: aborting a slow commit earlier and repeating it would only make it slower.
        call.CommandTimeout = 0;
        batch.AddTo(call.Parameters);

        // Once per connection, and not left to the driver's auto-prepare, which prepares along with the fifth execution and loses
        // track of the protocol if just that one fails.
        await call.PrepareAsync(cancellation);
        return call;
    }

    private static (int Index, Appended Outcome) Rejection(Verdict verdict) => (verdict.Index, verdict switch
    {
        { Number: null } => new Appended(AppendOutcome.NoConversation, null),
        { Earlier: null } => new Appended(AppendOutcome.Blocked, null),
        _ => new Appended(AppendOutcome.Repeated, verdict.Earlier),
    });

    /// <summary>A row of the function's result.</summary>
    /// <param name="Index">Of the conversation if the batch was stored, else of a message that cannot be stored; from 0.</param>
    /// <param name="Number">The conversation's counter before the batch; null if the conversation does not exist.</param>
    /// <param name="Earlier">The stored message of which this one is a duplicate.</param>
    private readonly record struct Verdict(int Index, long? Number, Message? Earlier);
}
