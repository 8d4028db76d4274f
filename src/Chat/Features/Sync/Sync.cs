using System.Text.Json.Serialization.Metadata;
using Chat.Socket;
using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Brings a client that was away up to date by numbers: it says how far it has come in each conversation, and gets
/// what lies past that, on any node, however late. What arrives live meanwhile is neither lost nor sent twice on this
/// connection, because <see cref="UserFeed"/> knows what was pushed to it. A client that missed nothing costs one query.
/// </summary>
public sealed class SyncSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<MissedChanges>();
        slice.On<Synchronize, SyncHandler>();
    }
}

/// <summary>The event <c>sync</c>.</summary>
/// <param name="Conversations">For each conversation that the client knows, the last number it has seen.</param>
public sealed record Synchronize(Dictionary<Guid, long>? Conversations) : IEvent<Synchronize>
{
    /// <inheritdoc/>
    public static string Name => "sync";

    /// <inheritdoc/>
    public static JsonTypeInfo<Synchronize> Json => ChatJson.Wire.Synchronize;
}

/// <summary>The event <c>sync.conversation</c>: one for each conversation in which something was missed, or that is new to the client.</summary>
/// <param name="Conversation">The conversation as it is now.</param>
/// <param name="Messages">What lies past the client's number, ascending by <c>changedSeq</c>; at most 200.</param>
/// <param name="HasMore">Ask again from the last <c>changedSeq</c> received.</param>
public sealed record SyncConversation(ConversationView Conversation, IReadOnlyList<Message> Messages, bool HasMore) : IEvent<SyncConversation>
{
    /// <inheritdoc/>
    public static string Name => "sync.conversation";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncConversation> Json => ChatJson.Wire.SyncConversation;
}

/// <summary>The event <c>sync.done</c>: nothing else is coming for this sync.</summary>
/// <param name="Conversations">How many <c>sync.conversation</c> came before.</param>
public sealed record SyncDone(int Conversations) : IEvent<SyncDone>
{
    /// <inheritdoc/>
    public static string Name => "sync.done";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncDone> Json => ChatJson.Wire.SyncDone;
}

/// <summary>Finds what was missed and sends it, a few conversations at a time, as fast as the client reads.</summary>
internal sealed class SyncHandler(MissedChanges missed, ConversationViews views, Delivery delivery) : IHandler<Synchronize>
{
    private const int ConversationsAtOnce = 20;

    public async ValueTask<ChatError?> HandleAsync(Synchronize received, EventContext context)
    {
        if (received.Conversations is not { } seen)
            return ChatError.Invalid("conversations", "An object of conversation ids and numbers is needed; it may be empty.");
        if (seen.Values.Any(number => number < 0))
            return ChatError.Invalid("conversations", "Numbers count from 0, for nothing seen.");

        var behind = await missed.BehindAsync(context.UserId, seen);
        foreach (var part in behind.Chunk(ConversationsAtOnce))
        {
            var messages = await missed.LoadAsync([.. part.Select(id => (id, seen.GetValueOrDefault(id)))]);
            foreach (var view in await views.ManyAsync(part, context.UserId))
            {
                await context.Connection.HasRoomAsync();
                var (found, hasMore) = messages.Page(view.Id);
                delivery.FeedOf(context.UserId)?.Catch(
                    context.Connection,
                    view.Id,
                    found,
                    hasMore,
                    (rest, more) => context.Reply(new SyncConversation(view, [.. rest.Select(message => message.For(context.UserId))], more)));
            }
        }

        context.Reply(new SyncDone(behind.Length));
        return null;
    }
}

/// <summary>The two questions that a sync asks the database.</summary>
internal sealed class MissedChanges(NpgsqlDataSource database, Tables tables, Changes changes)
{
    private const int MaxMessages = 200;

    // A part must fit into a send queue beside others, whatever the length of its messages.
    private const int MaxCharacters = 64 * 1024;

    /// <summary>The user's conversations whose counter is past what was seen, or of which nothing is known yet.</summary>
    public async Task<Guid[]> BehindAsync(Guid userId, Dictionary<Guid, long> seen)
    {
        await using var command = database.CreateCommand($"""
            select h.id
            from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
            left join unnest($2, $3) k(id, seq) on k.id = h.id
            where m.user_id = $1 and (k.id is null or h.seq > k.seq)
            order by h.updated_at desc, h.id
            """);
        command.Parameters.Add(new() { Value = userId });
        command.Parameters.Add(new() { Value = seen.Keys.ToArray() });
        command.Parameters.Add(new() { Value = seen.Values.ToArray() });
        var ids = new List<Guid>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            ids.Add(reader.GetGuid(0));
        return [.. ids];
    }

    /// <summary>What lies past each number, a page a conversation.</summary>
    public async Task<MissedMessages> LoadAsync((Guid ConversationId, long After)[] seen) =>
        new((await changes.PastAsync(seen, MaxMessages + 1)).ToLookup(message => message.ConversationId), MaxMessages, MaxCharacters);
}

/// <summary>Messages past a number, by conversation, ascending by their last change, one more than a part may hold.</summary>
internal sealed class MissedMessages(ILookup<Guid, Message> messages, int maxMessages, int maxCharacters)
{
    /// <summary>What goes into one part, and whether something is left.</summary>
    public (IReadOnlyList<Message> Messages, bool HasMore) Page(Guid conversationId)
    {
        var page = new List<Message>();
        var characters = 0;
        foreach (var message in messages[conversationId])
        {
            characters += message.Content.Length;
            if (page.Count == maxMessages || (page.Count > 0 && characters > maxCharacters))
                return (page, true);
            page.Add(message);
        }

        return (page, false);
    }
}
