using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: the channel's user has read on, elsewhere.</summary>
/// <param name="ConversationId">Where.</param>
internal sealed record CursorMoved(Guid ConversationId) : IEvent<CursorMoved>
{
    public static string Name => "cursor";

    public static JsonTypeInfo<CursorMoved> Json => FeatureJson.Wire.CursorMoved;
}

/// <summary>
/// Counts a conversation's unread messages anew when its reader's cursor has moved, here or on another node, and tells
/// the connections to this node. How a count and the deliveries beside it are kept apart is <see cref="UnreadCounter"/>'s.
/// </summary>
internal sealed class UnreadRefresher(Delivery delivery, UnreadQuery unread, Hub hub, RedisBackplane backplane, TimeProvider time, ILogger<UnreadRefresher> log)
    : SupervisedBackgroundService(time, log), INodeHandler<CursorMoved>
{
    private readonly Channel<(Guid UserId, Guid ConversationId)> moved = Channel.CreateUnbounded<(Guid, Guid)>();

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("recount of unread messages", FollowAsync)];

    /// <summary>Counts anew after a reader's cursor was moved by this node, and lets the other nodes do the same.</summary>
    /// <param name="userId">Whose.</param>
    /// <param name="conversationId">Where the cursor moved.</param>
    /// <param name="except">A connection that is told otherwise.</param>
    /// <param name="tell">Gets the conversation's count and the total, in their place among all that the connections are told. Must not wait.</param>
    public async Task CursorMovedAsync(Guid userId, Guid conversationId, Connection? except, Action<long, long> tell)
    {
        backplane.Publish(userId, new CursorMoved(conversationId));
        if (delivery.FeedOf(userId) is { } feed)
        {
            await RecountAsync(feed, conversationId, except, tell);
            return;
        }

        var all = await unread.SummaryAsync(userId);
        tell(all.Where(one => one.ConversationId == conversationId).Sum(one => one.Unread), all.Sum(one => one.Unread));
    }

    /// <summary>Counts one conversation anew, for the connections to this node.</summary>
    public async Task RecountAsync(UserFeed feed, Guid conversationId, Connection? except = null, Action<long, long>? tell = null)
    {
        // The total is true only where all positions are known.
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
                tell?.Invoke(count, total);
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
