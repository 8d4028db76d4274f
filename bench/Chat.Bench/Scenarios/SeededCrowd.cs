using System.Globalization;
using Chat.Bench.Load;
using Chat.Features;
using Chat.Storage;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Weasel.Core;

namespace Chat.Bench.Scenarios;

/// <summary>
/// People who all have the same number of direct conversations, with each other, of a few messages each. Person i talks to those
/// at fixed distances on both sides of i, in a circle of all people, so that everything follows from the two numbers.
/// </summary>
internal sealed class SeededCrowd
{
    private const int MessagesPerConversation = 4;
    private const int UnreadPerConversation = 1;
    private const int BatchSize = 10_000;
    private const int RowsPerCopy = 20_000;
    private static readonly string[] Tables =
        ["chat.mt_doc_conversation", "chat.mt_doc_conversationhead", "chat.mt_doc_member", "chat.mt_doc_message"];

    private readonly int people;
    private readonly int conversations;
    private readonly int[] distances;

    public SeededCrowd(int people, int conversations)
    {
        if (conversations < 1 || conversations >= people)
            throw new BenchException($"{people} people can have 1 to {people - 1} direct conversations each, not {conversations}.");
        if (conversations % 2 == 1 && people % 2 == 1)
            throw new BenchException("An odd number of people cannot have an odd number of direct conversations each.");
        (this.people, this.conversations) = (people, conversations);
        var sides = Enumerable.Range(1, (people - 1) / 2).ToArray();
        new Random(5).Shuffle(sides);
        distances = [.. sides[..(conversations / 2)], .. Enumerable.Repeat(people / 2, conversations % 2)];
    }

    private int Conversations => people * conversations / 2;

    /// <summary>Returns how many of the first people each of them talks to, on average.</summary>
    public double ContactsAmong(int first) => Pairs().Count(pair => pair.One < first && pair.Other < first) * 2.0 / first;

    /// <summary>Returns the first people, for connecting.</summary>
    public Population First(Target target, int count) => new(
        Guid.NewGuid().ToString("N")[..8],
        [.. Enumerable.Range(0, count).Select(person => new TestUser(IdOf(person), target.Tokens.Sign(IdOf(person), NameOf(person))))],
        []);

    /// <summary>Stores the crowd, unless an earlier run has, and restarts the server, which then starts with the data.</summary>
    public async Task SeedAsync(Target target, Progress progress)
    {
        var backingServices = target.Services
            ?? throw new BenchException("Conversations are seeded into a database started by the bench: omit --url.");
        if (target.IsFloor)
            throw new BenchException("The floor server has no conversations.");
        var last = Pairs().Last();
        var lastId = ConversationHead.IdOfDirect(IdOf(last.One), IdOf(last.Other));
        if (await backingServices.CountAsync($"select count(*) from chat.mt_streams where id = '{lastId}'") == 0)
            await StoreAsync(backingServices, progress);
        progress.SetPhase("restarting the server");
        await target.RestartAsync(asCrash: false);
    }

    private async Task StoreAsync(BackingServices backingServices, Progress progress)
    {
        var start = EventLoop.Now;
        var stored = 0;
        progress.SetPhase($"seeding {people:N0} people and {Conversations:N0} conversations");
        await using var services = SeedingStore.Create(backingServices);
        var store = services.GetRequiredService<IDocumentStore>();
        await using var database = NpgsqlDataSource.Create($"{backingServices.Postgres};Command Timeout=0");
        var rebuild = new List<string>();
        // Random keys load much faster without the indexes.
        foreach (var table in Tables)
            rebuild.AddRange(await SeedingStore.DropIndexesAsync(database, table));
        await InsertAsync(store, Enumerable.Range(0, people).Select(
            person => new User { Id = IdOf(person), Username = NameOf(person), UsernameKey = NameOf(person) }));
        foreach (var batch in Pairs().Select(pair => new Direct(pair.Index, IdOf(pair.One), IdOf(pair.Other))).Chunk(BatchSize))
        {
            await InsertAsync(store, batch.Select(direct => direct.Conversation()));
            await InsertAsync(store, batch.Select(direct => direct.Head()));
            await InsertAsync(store, batch.SelectMany(direct => direct.Members()));
            await InsertAsync(store, batch.SelectMany(direct => direct.Messages()));
            stored += batch.Length;
            progress.SetPhase($"seeded {stored:N0} of {Conversations:N0} conversations");
        }

        foreach (var index in rebuild)
            await SeedingStore.RunAsync(database, index);
        // Last, because their presence says that the crowd is complete.
        await SeedingStore.RunAsync(database, Events);
        progress.SetPhase("vacuum analyze");
        await SeedingStore.RunAsync(database, "vacuum analyze");
        await SeedingStore.RunAsync(database, "checkpoint");
        progress.Log($"Seeding took {(EventLoop.Now - start) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)):0} s.");
    }

    // The stream and the event of each conversation that has none yet.
    private static string Events => $"""
        with started as (
            insert into chat.mt_streams (id, type, version)
            select c.id, 'conversation', 1 from chat.mt_doc_conversation c
            where not exists (select 1 from chat.mt_streams s where s.id = c.id) returning id)
        insert into chat.mt_events (seq_id, id, stream_id, version, data, type, mt_dotnet_type)
        select nextval('chat.mt_events_sequence'), gen_random_uuid(), c.id, 1,
            jsonb_build_object('at', c.data -> 'startedAt', 'kind', c.data -> 'kind', 'members', c.data -> 'members'),
            'conversation_started', '{typeof(ConversationStarted).FullName}, {typeof(ConversationStarted).Assembly.GetName().Name}'
        from started join chat.mt_doc_conversation c using (id)
        """;

    private static Task InsertAsync<T>(IDocumentStore store, IEnumerable<T> documents)
        where T : notnull => store.BulkInsertAsync(documents.ToArray(), BulkInsertMode.InsertsOnly, RowsPerCopy);

    private IEnumerable<(int Index, int One, int Other)> Pairs()
    {
        var index = 0;
        foreach (var distance in distances)
        {
            // At half of the circle, both sides are the same person.
            for (var one = 0; one < (distance * 2 == people ? distance : people); one++)
                yield return (index++, one, (one + distance) % people);
        }
    }

    private Guid IdOf(int person) => DeterministicId.Of("bench crowd", Guid.Empty, Guid.Empty, NameOf(person));

    private string NameOf(int person) => string.Create(CultureInfo.InvariantCulture, $"crowd-{people}-{conversations}-{person}");

    private sealed record Direct(int Index, Guid One, Guid Other)
    {
        private Guid Id { get; } = ConversationHead.IdOfDirect(One, Other);

        public Conversation Conversation() =>
            new() { Id = Id, Kind = ConversationKind.Direct, Members = [One, Other], StartedAt = TimeOf(0) };

        public ConversationHead Head() => new()
        {
            Id = Id,
            Seq = MessagesPerConversation,
            LastMessageId = MessageId(MessagesPerConversation),
            UpdatedAt = TimeOf(MessagesPerConversation),
        };

        public IEnumerable<Member> Members() => new[] { One, Other }.Select(user => new Member
        {
            Id = Member.IdOf(Id, user),
            ConversationId = Id,
            UserId = user,
            ReadUpTo = MessagesPerConversation - UnreadPerConversation,
            DeliveredUpTo = MessagesPerConversation,
        });

        public IEnumerable<Message> Messages() => Enumerable.Range(1, MessagesPerConversation).Select(seq => new Message
        {
            Id = MessageId(seq),
            ConversationId = Id,
            Seq = seq,
            ChangedSeq = seq,
            SenderId = SenderOf(seq),
            Type = "text",
            Content = $"Message {seq} of conversation {Index}, with about as many words as people write when they write at all.",
            SentAt = TimeOf(seq),
            TempId = TempId(seq),
        });

        private Guid MessageId(int seq) => DeterministicId.Of("message", SenderOf(seq), Id, TempId(seq));

        private Guid SenderOf(int seq) => seq % 2 == 0 ? One : Other;

        private static string TempId(int seq) => string.Create(CultureInfo.InvariantCulture, $"seed-{seq}");

        // Within a year, in another order than the index.
        private DateTimeOffset TimeOf(int seq) =>
            new DateTimeOffset(2022, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMinutes((Index * 7919L % 525_600) + seq);
    }
}
