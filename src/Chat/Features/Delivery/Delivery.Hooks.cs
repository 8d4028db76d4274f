using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class DeliveryHooks
{
    /// <summary>Everything that changes a conversation on this connection, as numbers: of its own sends, and of what came.</summary>
    public static IReadOnlyList<long> NumbersOf(this SocketClient client, Guid conversation) =>
        [.. client.Frames
            .Where(frame => frame.Type is "message.new" or "message.sent" && frame["message.conversationId"].GetGuid() == conversation)
            .Select(frame => frame["message.seq"].GetInt64())];

    /// <summary>The latest unread numbers that this connection was told: of a conversation, and over all of them; -1 for none yet.</summary>
    public static (long Unread, long Total) UnreadOf(this SocketClient client, Guid conversation)
    {
        var told = client.All("notification.unread");
        var last = told.LastOrDefault(frame => frame["conversationId"].GetGuid() == conversation);
        return last is null ? (-1, -1) : (last["unread"].GetInt64(), told[^1]["totalUnread"].GetInt64());
    }
}
