using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;
using System.Threading.Channels;
using Npgsql;
using NpgsqlTypes;

namespace Chat.Bench.Floor;

/// <summary>
/// Stores the messages that arrived during the previous commit with one hand-written statement, then acknowledges them to
/// the senders and pushes them to the receivers.
/// </summary>
internal sealed class FloorLog : IAsyncDisposable
{
    /// <summary>As in the chat server, so that batches have the same size.</summary>
    private const int Shards = 2;

    private const int MaxBatch = 256;

    private readonly NpgsqlDataSource database;
    private readonly Channel<Entry>[] queues =
        [.. Enumerable.Range(0, Shards).Select(_ => Channel.CreateUnbounded<Entry>(new() { SingleReader = true }))];
    private readonly Dictionary<Guid, long>[] sequences = [.. Enumerable.Range(0, Shards).Select(_ => new Dictionary<Guid, long>())];
    private readonly Task running;

    private FloorLog(NpgsqlDataSource database)
    {
        this.database = database;
        running = Task.WhenAll(Enumerable.Range(0, Shards).Select(RunAsync));
    }

    public static async Task<FloorLog> StartAsync(string postgres)
    {
        var database = NpgsqlDataSource.Create(postgres);
        await using var table = database.CreateCommand("""
            create table if not exists floor_message (
                id uuid primary key, conversation_id uuid not null, seq bigint not null, sender_id uuid not null,
                content text not null, temp_id text not null, sent_at timestamptz not null)
            """);
        await table.ExecuteNonQueryAsync();
        return new FloorLog(database);
    }

    /// <summary>Enqueues a <c>message.send</c>, parsing only the fields that it needs.</summary>
    public void Append(ReadOnlyMemory<byte> frame, FloorConnection sender, FloorConnection[] members)
    {
        var text = frame.Span;
        var entry = new Entry(
            Guid.CreateVersion7(), GuidOf(Field(text, "\"conversationId\":\""u8)), sender, members,
            Encoding.UTF8.GetString(Field(text, "\"content\":\""u8)), Encoding.UTF8.GetString(Field(text, "\"tempId\":\""u8)),
            Encoding.UTF8.GetString(Field(text, "\"id\":\""u8)));
        queues[(uint)entry.ConversationId.GetHashCode() % Shards].Writer.TryWrite(entry);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var queue in queues)
            queue.Writer.TryComplete();
        await running;
        await database.DisposeAsync();
    }

    private static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> text, ReadOnlySpan<byte> name)
    {
        var from = text[(text.IndexOf(name) + name.Length)..];
        return from[..from.IndexOf((byte)'"')];
    }

    private static Guid GuidOf(ReadOnlySpan<byte> text) => Utf8Parser.TryParse(text, out Guid id, out _) ? id : default;

    private async Task RunAsync(int shard)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var insert =
            new NpgsqlCommand("insert into floor_message select * from unnest($1, $2, $3, $4, $5, $6, $7)", connection);
        foreach (var type in new[] { NpgsqlDbType.Uuid, NpgsqlDbType.Uuid, NpgsqlDbType.Bigint, NpgsqlDbType.Uuid, NpgsqlDbType.Text,
            NpgsqlDbType.Text, NpgsqlDbType.TimestampTz })
            insert.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Array | type });
        var queue = queues[shard].Reader;
        var batch = new List<Entry>(MaxBatch);
        while (await queue.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && queue.TryRead(out var entry))
                batch.Add(entry with
                {
                    Seq =
                    sequences[shard][entry.ConversationId] = sequences[shard].GetValueOrDefault(entry.ConversationId) + 1
                });
            var now = DateTime.UtcNow;
            insert.Parameters[0].Value = batch.ConvertAll(entry => entry.Id);
            insert.Parameters[1].Value = batch.ConvertAll(entry => entry.ConversationId);
            insert.Parameters[2].Value = batch.ConvertAll(entry => entry.Seq);
            insert.Parameters[3].Value = batch.ConvertAll(entry => entry.Sender.User);
            insert.Parameters[4].Value = batch.ConvertAll(entry => entry.Content);
            insert.Parameters[5].Value = batch.ConvertAll(entry => entry.TempId);
            insert.Parameters[6].Value = batch.ConvertAll(_ => now);
            await insert.PrepareAsync();
            await insert.ExecuteNonQueryAsync();
            foreach (var entry in batch)
                Deliver(entry, now);
        }
    }

    private static void Deliver(Entry entry, DateTime now)
    {
        entry.Sender.Send(Frame(entry, now, isAck: true));
        var pushed = Frame(entry, now, isAck: false);
        foreach (var member in entry.Members)
        {
            if (member.User != entry.Sender.User)
                member.Send(pushed);
        }
    }

    private static byte[] Frame(Entry entry, DateTime now, bool isAck)
    {
        Span<byte> frame = stackalloc byte[1024 + (entry.Content.Length * 3)];
        Utf8.TryWrite(
            frame,
            $$$"""{"id":"{{{entry.Id}}}","conversationId":"{{{entry.ConversationId}}}","seq":{{{entry.Seq}}},"changedSeq":{{{entry.Seq}}}"""
                + $$$""","senderId":"{{{entry.Sender.User}}}","type":"text","content":"{{{entry.Content}}}"""
                + $"\",\"sentAt\":\"{now:yyyy-MM-ddTHH:mm:ss.fffZ}\" ",
            out var length);
        ReadOnlySpan<byte> message = frame[..(length - 1)];
        if (!isAck)
            return [.. """{"type":"message.new","payload":{"message":"""u8, .. message, .. "}}}"u8];
        Span<byte> head = stackalloc byte[512];
        Utf8.TryWrite(
            head, $$$"""{"type":"message.sent","id":"{{{entry.RequestId}}}","payload":{"tempId":"{{{entry.TempId}}}","message":""",
            out var headLength);
        return [.. head[..headLength], .. message, .. ",\"tempId\":\""u8, .. Encoding.UTF8.GetBytes(entry.TempId), .. "\"}}}"u8];
    }

    private readonly record struct Entry(
        Guid Id, Guid ConversationId, FloorConnection Sender, FloorConnection[] Members, string Content, string TempId, string RequestId)
    {
        public long Seq { get; init; }
    }
}
