using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class DeliveryHooks
{
    /// <summary>Everything that changes a conversation on this connection, as numbers: of its own sends, and of what came.</summary>
    public static IReadOnlyList<long> NumbersOf(this SocketClient client, Guid conversation) =>
        [.. client.Frames
            .Where(frame => frame.Type is "message.new" or "message.sent" && frame["message.conversationId"].GetGuid() == conversation)
            .Select(frame => frame["message.seq"].GetInt64())];

    /// <summary>The latest unread numbers that this connection was told: of a conversation, and over all of them.</summary>
    public static (long Unread, long Total) UnreadOf(this SocketClient client, Guid conversation)
    {
        var told = client.All("notification.unread");
        return (
            told.Last(frame => frame["conversationId"].GetGuid() == conversation)["unread"].GetInt64(),
            told[^1]["totalUnread"].GetInt64());
    }
}
