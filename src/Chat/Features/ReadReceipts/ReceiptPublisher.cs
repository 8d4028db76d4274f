using System.Text.Json.Serialization.Metadata;
using Chat.Backplane;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: another member of a conversation of the channel's user has come further.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="Cursor">Who, and up to where.</param>
/// <param name="Frame">What the user's connections are told.</param>
internal sealed record ReceiptForwarded(Guid ConversationId, MemberCursor Cursor, byte[] Frame) : IEvent<ReceiptForwarded>
{
    public static string Name => "receipt";

    public static JsonTypeInfo<ReceiptForwarded> Json => FeatureJson.Wire.ReceiptForwarded;
}

/// <summary>Tells how far somebody has come. What is lost on the way, <see cref="ReceiptRepair"/> tells.</summary>
internal sealed class ReceiptPublisher(Delivery delivery, RedisBackplane backplane) : INodeHandler<ReceiptForwarded>
{
    /// <summary>Tells other members, on every node.</summary>
    public void Publish(IReadOnlyCollection<Guid> others, Guid conversationId, MemberCursor cursor, Frame frame)
    {
        foreach (var other in others)
            delivery.FeedOf(other)?.Receipts.Notify(conversationId, cursor, frame);
        backplane.Publish(others, new ReceiptForwarded(conversationId, cursor, frame.Bytes.ToArray()));
    }

    void INodeHandler<ReceiptForwarded>.Handle(Guid userId, ReceiptForwarded received) =>
        delivery.FeedOf(userId)?.Receipts.Notify(received.ConversationId, received.Cursor, new Frame(received.Frame));
}
