using System.Text.Json.Serialization.Metadata;
using Chat.Backplane;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: another member of a conversation of the channel's user has come further.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="Cursor">Who, and up to where.</param>
/// <param name="Frame">What the user's connections are told.</param>
internal sealed record ReceiptTold(Guid ConversationId, MemberCursor Cursor, byte[] Frame) : IEvent<ReceiptTold>
{
    public static string Name => "receipt";

    public static JsonTypeInfo<ReceiptTold> Json => ChatJson.Wire.ReceiptTold;
}

/// <summary>Tells how far somebody has come. What is lost on the way, <see cref="ReceiptRepair"/> tells.</summary>
internal sealed class Receipts(Delivery delivery, RedisBackplane backplane) : INodeHandler<ReceiptTold>
{
    /// <summary>Tells other members, on every node.</summary>
    public void Tell(IReadOnlyCollection<Guid> others, Guid conversationId, MemberCursor cursor, Frame frame)
    {
        foreach (var other in others)
            delivery.FeedOf(other)?.Told.Tell(conversationId, cursor, frame);
        backplane.Publish(others, new ReceiptTold(conversationId, cursor, frame.Bytes.ToArray()));
    }

    void INodeHandler<ReceiptTold>.Handle(Guid userId, ReceiptTold received) =>
        delivery.FeedOf(userId)?.Told.Tell(received.ConversationId, received.Cursor, new Frame(received.Frame));
}
