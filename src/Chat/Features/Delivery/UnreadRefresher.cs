using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: the read cursor of the channel's user has advanced on another node.</summary>
/// <param name="ConversationId">The conversation.</param>
internal sealed record CursorMoved(Guid ConversationId) : IEvent<CursorMoved>
{
    public static string Name => "cursor";

    public static JsonTypeInfo<CursorMoved> Json => FeatureJson.Wire.CursorMoved;
}

/// <summary>
/// Recounts a conversation's unread messages when its reader's cursor has advanced, on this node or another, and notifies
/// the local connections. <see cref="UnreadCounter"/> reconciles a recount with concurrent deliveries.
/// </summary>
internal sealed class UnreadRefresher(
    Delivery delivery, UnreadQuery unread, Hub hub, RedisBackplane backplane, TimeProvider time, ILogger<UnreadRefresher> log)
    : SupervisedBackgroundService(time, log), INodeHandler<CursorMoved>
{
    private readonly Channel<(Guid UserId, Guid ConversationId)> moved = Channel.CreateUnbounded<(Guid, Guid)>();

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("unread recount", FollowAsync)];

    /// <summary>Recounts after this node advanced a read cursor, and notifies the other nodes.</summary>
    /// <param name="userId">The reader.</param>
    /// <param name="conversationId">The conversation whose cursor advanced.</param>
    /// <param name="except">A connection to skip, because it gets the counts in its reply.</param>
    /// <param name="onCounted">Receives the conversation's count and the total, ordered with all other events of the connections.
    /// Must not block.</param>
    public async Task CursorMovedAsync(Guid userId, Guid conversationId, Connection? except, Action<long, long> onCounted)
    {
        backplane.Publish(userId, new CursorMoved(conversationId));
        if (delivery.FeedOf(userId) is { } feed)
        {
            await RecountAsync(feed, conversationId, except, onCounted);
            return;
        }

        var all = await unread.SummaryAsync(userId);
        onCounted(all.Where(row => row.ConversationId == conversationId).Sum(row => row.Unread), all.Sum(row => row.Unread));
    }

    /// <summary>Recounts one conversation for the connections to this node.</summary>
    public async Task RecountAsync(UserFeed feed, Guid conversationId, Connection? except = null, Action<long, long>? onCounted = null)
    {
        // The total is only correct once all positions are loaded.
        await delivery.LoadAsync(feed);
        feed.BeginRecount(conversationId);
        MemberPosition? snapshot = null;
        try
        {
            snapshot = (await unread.LoadAsync(feed.UserId, [conversationId])).Select(row => (MemberPosition?)row).FirstOrDefault();
        }
        finally
        {
            feed.EndRecount(conversationId, snapshot, (count, total) =>
            {
                hub.Send(feed.UserId, Frame.Of(new NotificationUnread(conversationId, count, total)), except);
                onCounted?.Invoke(count, total);
            });
        }
    }

    void INodeHandler<CursorMoved>.Handle(Guid userId, CursorMoved received) => moved.Writer.TryWrite((userId, received.ConversationId));

    private async Task FollowAsync(CancellationToken stopping)
    {
        await foreach (var (userId, conversationId) in moved.Reader.ReadAllAsync(stopping))
        {
            if (delivery.FeedOf(userId) is { } feed)
                await RecountAsync(feed, conversationId);
        }
    }
}
