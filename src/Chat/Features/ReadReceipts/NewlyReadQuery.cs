using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>Queries which messages an advance of a read cursor marks as read.</summary>
internal sealed class NewlyReadQuery(IDocumentStore store)
{
    /// <summary>Most message ids in an update; a cursor may pass any number of messages at once.</summary>
    private const int MaxIds = 100;

    /// <summary>
    /// Returns the messages by others that a reader has newly read: their number, and the ids of the last ones in ascending
    /// order.
    /// </summary>
    public async Task<(int Count, IReadOnlyList<Guid> Latest)> BetweenAsync(Guid conversationId, Guid reader, long after, long upTo)
    {
        if (upTo <= after)
            return (0, []);
        await using var session = store.QuerySession();
        var marked = session.Query<Message>()
            .Where(message =>
                message.ConversationId == conversationId && message.Seq > after && message.Seq <= upTo && message.SenderId != reader);
        var latest = await marked.OrderByDescending(message => message.Seq).Take(MaxIds).Select(message => message.Id).ToListAsync();
        return (latest.Count < MaxIds ? latest.Count : await marked.CountAsync(), [.. latest.Reverse()]);
    }
}
