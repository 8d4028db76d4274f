using System.Globalization;
using Chat.Bench.Load;
using Chat.Features;
using Chat.Json;
using Chat.Storage;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using NpgsqlTypes;

namespace Chat.Bench.Scenarios;

/// <summary>
/// A database like one after long use: 500 messages per conversation, sent alternately by two users, the last ten unread.
/// Messages are inserted with COPY into Marten's table, everything else through Marten, with consistent heads and cursors.
/// It can grow; existing data is not changed.
/// </summary>
internal sealed class SeededDatabase
{
    public const int MessagesPerConversation = 500;
    private const int UnreadPerConversation = 10;
    private const int BatchSize = 200;
    private const string Table = "chat.mt_doc_message";
    private readonly BackingServices backingServices;

    private SeededDatabase(BackingServices backingServices, int conversations) =>
        (this.backingServices, Conversations) = (backingServices, conversations);

    /// <summary>The number of seeded conversations.</summary>
    public int Conversations { get; private set; }

    /// <summary>Opens the database, and counts existing conversations. The schema must have been applied.</summary>
    public static async Task<SeededDatabase> OpenAsync(BackingServices backingServices) =>
        new(backingServices,
            (int)await backingServices.CountAsync(
                "select count(*) from chat.mt_doc_conversationhead where id in "
                + "(select id from chat.mt_doc_conversation where (data ->> 'startedAt') < '2021')"));

    /// <summary>Returns the id of one of the two users of a conversation.</summary>
    public static Guid UserIdOf(int conversation, int which) =>
        DeterministicId.Of("bench person", Guid.Empty, Guid.Empty, string.Create(CultureInfo.InvariantCulture, $"{conversation}/{which}"));

    /// <summary>Returns the id of a conversation.</summary>
    public static Guid IdOf(int conversation) => ConversationHead.IdOfDirect(UserIdOf(conversation, 0), UserIdOf(conversation, 1));

    /// <summary>Returns the users of a random sample of conversations, for connecting.</summary>
    public static Population Sample(Target target, int sockets, int ofConversations)
    {
        var random = new Random(2);
        var sample = Enumerable.Range(0, sockets / 2).Select(_ => random.Next(ofConversations)).Distinct().ToArray();
        return new Population(
            Guid.NewGuid().ToString("N")[..8],
            [.. sample.SelectMany(
                IEnumerable<TestUser> (conversation) => [SignIn(target, conversation, 0), SignIn(target, conversation, 1)])],
            [.. sample.Select(IdOf)]);
    }

    /// <summary>Returns a user with a token.</summary>
    public static TestUser SignIn(Target target, int conversation, int which)
    {
        var id = UserIdOf(conversation, which);
        return new TestUser(id, target.Tokens.Sign(id, NameOf(conversation, which)));
    }

    /// <summary>Adds conversations up to a total number of messages.</summary>
    public async Task GrowAsync(long messages, Progress progress)
    {
        var targetCount = (int)Math.Max(1, messages / MessagesPerConversation);
        if (targetCount <= Conversations)
            return;
        progress.Log($"Seeding up to {targetCount * (long)MessagesPerConversation:N0} messages in {targetCount:N0} conversations.");
        await using var services = SeedingStore.Create(backingServices);
        var store = services.GetRequiredService<IDocumentStore>();
        await using var database = NpgsqlDataSource.Create($"{backingServices.Postgres};Command Timeout=0");
        // Loading random keys in bulk is much faster without the indexes, which are rebuilt afterwards.
        var rebuild = targetCount - Conversations > 1000 ? await SeedingStore.DropIndexesAsync(database, Table) : [];
        var lastLogged = EventLoop.Now;
        while (Conversations < targetCount)
        {
            int[] batch = [.. Enumerable.Range(Conversations, Math.Min(BatchSize, targetCount - Conversations))];
            await CopyMessagesAsync(database, batch);
            await StoreConversationsAsync(store, batch);
            Conversations += batch.Length;
            if (EventLoop.Now - lastLogged > EventLoop.ToTicks(TimeSpan.FromSeconds(10)))
            {
                progress.Log($"{Conversations * (long)MessagesPerConversation:N0} messages");
                lastLogged = EventLoop.Now;
            }
        }

        foreach (var index in rebuild)
        {
            progress.Log(index);
            await SeedingStore.RunAsync(database, index);
        }

        progress.Log("vacuum analyze");
        await SeedingStore.RunAsync(database, "vacuum analyze");
        await SeedingStore.RunAsync(database, "checkpoint");
    }

    private static Guid MessageId(int conversation, int seq) =>
        DeterministicId.Of("message", SenderOf(conversation, seq), IdOf(conversation), TempId(seq));

    private static Guid SenderOf(int conversation, int seq) => UserIdOf(conversation, seq % 2);

    private static string NameOf(int conversation, int which) =>
        string.Create(CultureInfo.InvariantCulture, $"seeded-{conversation}-{which}");

    private static string TempId(int seq) => string.Create(CultureInfo.InvariantCulture, $"seed-{seq}");

    private static DateTimeOffset TimeOf(int conversation, int seq) =>
        new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMinutes(seq).AddSeconds(conversation % 86_400);

    private static async Task CopyMessagesAsync(NpgsqlDataSource database, IEnumerable<int> conversations)
    {
        var json = WireJson.ForDocuments([StorageJson.Wire]);
        await using var connection = await database.OpenConnectionAsync();
        await using var copy = await connection.BeginBinaryImportAsync(
            $"copy {Table} (id, data, conversation_id, seq, changed_seq, sender_id) from stdin (format binary)");
        foreach (var conversation in conversations)
        {
            var id = IdOf(conversation);
            for (var seq = 1; seq <= MessagesPerConversation; seq++)
            {
                var message = new Message
                {
                    Id = MessageId(conversation, seq),
                    ConversationId = id,
                    Seq = seq,
                    ChangedSeq = seq,
                    SenderId = SenderOf(conversation, seq),
                    Type = "text",
                    Content =
                        $"Message {seq} of conversation {conversation}, with about as many words as people write when they write at all.",
                    SentAt = TimeOf(conversation, seq),
                    TempId = TempId(seq),
                };
                await copy.StartRowAsync();
                await copy.WriteAsync(message.Id, NpgsqlDbType.Uuid);
                await copy.WriteAsync(System.Text.Json.JsonSerializer.Serialize(message, json), NpgsqlDbType.Jsonb);
                await copy.WriteAsync(id, NpgsqlDbType.Uuid);
                await copy.WriteAsync((long)seq, NpgsqlDbType.Bigint);
                await copy.WriteAsync((long)seq, NpgsqlDbType.Bigint);
                await copy.WriteAsync(message.SenderId, NpgsqlDbType.Uuid);
            }
        }

        await copy.CompleteAsync();
    }

    private static async Task StoreConversationsAsync(IDocumentStore store, IEnumerable<int> conversations)
    {
        await using var session = store.LightweightSession();
        foreach (var conversation in conversations)
        {
            var id = IdOf(conversation);
            Guid[] users = [UserIdOf(conversation, 0), UserIdOf(conversation, 1)];
            session.Events.StartStream<Conversation>(id, new ConversationStarted(ConversationKind.Direct, users, TimeOf(conversation, 0)));
            session.Insert(new ConversationHead
            {
                Id = id,
                Seq = MessagesPerConversation,
                LastMessageId = MessageId(conversation, MessagesPerConversation),
                UpdatedAt = TimeOf(conversation, MessagesPerConversation),
            });
            for (var which = 0; which < users.Length; which++)
            {
                session.Insert(
                    new User { Id = users[which], Username = NameOf(conversation, which), UsernameKey = NameOf(conversation, which) });
                session.Insert(new Member
                {
                    Id = Member.IdOf(id, users[which]),
                    ConversationId = id,
                    UserId = users[which],
                    ReadUpTo = MessagesPerConversation - UnreadPerConversation,
                    DeliveredUpTo = MessagesPerConversation,
                });
            }
        }

        await session.SaveChangesAsync();
    }
}
