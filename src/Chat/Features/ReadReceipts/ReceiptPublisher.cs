using System.Text.Json.Serialization.Metadata;
using Chat.Backplane;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: a cursor of another member in a conversation of the channel's user has advanced.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Cursor">The member and their cursors.</param>
/// <param name="Frame">The frame for the user's connections.</param>
internal sealed record ReceiptForwarded(Guid ConversationId, MemberCursor Cursor, byte[] Frame) : IEvent<ReceiptForwarded>
{
    public static string Name => "receipt";

    public static JsonTypeInfo<ReceiptForwarded> Json => FeatureJson.Wire.ReceiptForwarded;
}

/// <summary>Publishes cursor updates. What is lost between nodes is sent again by <see cref="ReceiptRepair"/>.</summary>
internal sealed class ReceiptPublisher(Delivery delivery, RedisBackplane backplane) : INodeHandler<ReceiptForwarded>
{
    /// <summary>Notifies other members on every node.</summary>
    public void Publish(IReadOnlyCollection<Guid> others, Guid conversationId, MemberCursor cursor, Frame frame)
    {
        foreach (var other in others)
            delivery.FeedOf(other)?.Receipts.Notify(conversationId, cursor, frame);
        backplane.Publish(others, new ReceiptForwarded(conversationId, cursor, frame.Bytes.ToArray()));
    }

    void INodeHandler<ReceiptForwarded>.Handle(Guid userId, ReceiptForwarded received) =>
        delivery.FeedOf(userId)?.Receipts.Notify(received.ConversationId, received.Cursor, new Frame(received.Frame));
}
