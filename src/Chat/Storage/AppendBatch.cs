using System.Text.Json;
using Chat.Json;
using Npgsql;
using NpgsqlTypes;

namespace Chat.Storage;

/// <summary>A message to append to the log.</summary>
/// <param name="Message">The message, not yet numbered.</param>
/// <param name="Blocks">The ids of the <see cref="Block"/>s that would reject it.</param>
internal readonly record struct AppendCandidate(Message Message, IReadOnlyList<Guid> Blocks);

/// <summary>
/// The parameters of <see cref="AppendFunction"/>'s functions: a column for each field of the messages, and one for each of their
/// conversations.
/// </summary>
internal sealed class AppendBatch
{
    private readonly IReadOnlyList<AppendCandidate> candidates;
    private readonly int[] heads;
    private readonly int[] steps;
    private readonly (Guid Id, int Size, Message Latest)[] conversations;
    private readonly List<Guid> blocks = [];
    private readonly List<int> blocked = [];

    public AppendBatch(IReadOnlyList<AppendCandidate> candidates)
    {
        this.candidates = candidates;
        heads = new int[candidates.Count];
        steps = new int[candidates.Count];
        // Sorted by id, the order in which the heads are locked.
        var ids = Column(candidates, candidate => candidate.Message.ConversationId).Distinct().Order().ToArray();
        conversations = new (Guid, int, Message)[ids.Length];
        for (var i = 0; i < candidates.Count; i++)
        {
            var message = candidates[i].Message;
            var index = Array.BinarySearch(ids, message.ConversationId);
            var size = conversations[index].Size + 1;
            conversations[index] = (message.ConversationId, size, message);
            (heads[i], steps[i]) = (index + 1, size);
            foreach (var block in candidates[i].Blocks)
            {
                blocks.Add(block);
                blocked.Add(i + 1);
            }
        }
    }

    public int Conversations => conversations.Length;

    /// <summary>Returns the messages with their sequence numbers, given the counters before the batch.</summary>
    public IEnumerable<(int Index, Appended Outcome)> Numbered(long[] counters)
    {
        for (var i = 0; i < heads.Length; i++)
        {
            var seq = counters[heads[i] - 1] + steps[i];
            yield return (i, new Appended(AppendOutcome.Stored, candidates[i].Message with { Seq = seq, ChangedSeq = seq }));
        }
    }

    public void AddTo(NpgsqlParameterCollection parameters)
    {
        Add(NpgsqlDbType.Uuid, Column(candidates, candidate => candidate.Message.Id));
        Add(NpgsqlDbType.Uuid, Column(candidates, candidate => candidate.Message.SenderId));
        Add(NpgsqlDbType.Text, Column(candidates, candidate => OpenDocument(candidate.Message)));
        Add(NpgsqlDbType.Integer, heads);
        Add(NpgsqlDbType.Integer, steps);
        Add(NpgsqlDbType.Uuid, Column(conversations, conversation => conversation.Id));
        Add(NpgsqlDbType.Integer, Column(conversations, conversation => conversation.Size));
        Add(NpgsqlDbType.Uuid, Column(conversations, conversation => conversation.Latest.Id));
        Add(NpgsqlDbType.Text, Column(conversations, conversation => WireTime.Text(conversation.Latest.SentAt)));
        Add(NpgsqlDbType.Uuid, blocks.ToArray());
        Add(NpgsqlDbType.Integer, blocked.ToArray());

        void Add<TValue>(NpgsqlDbType type, TValue[] column) =>
            parameters.Add(new NpgsqlParameter<TValue[]> { TypedValue = column, NpgsqlDbType = type | NpgsqlDbType.Array });
    }

    // The document without its closing brace; the database appends the numbers.
    private static ReadOnlyMemory<byte> OpenDocument(Message message) =>
        JsonSerializer.SerializeToUtf8Bytes(message, StorageJson.Wire.Message).AsMemory()[..^1];

    private static TValue[] Column<TItem, TValue>(IReadOnlyList<TItem> items, Func<TItem, TValue> value)
    {
        var column = new TValue[items.Count];
        for (var i = 0; i < column.Length; i++)
            column[i] = value(items[i]);
        return column;
    }
}
