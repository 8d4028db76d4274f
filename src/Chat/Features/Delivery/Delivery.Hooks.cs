using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class DeliveryHooks
{
    /// <summary>
    /// Returns the sequence numbers of a conversation that this connection has received, in order, its own sends included.
    /// </summary>
    public static IReadOnlyList<long> NumbersOf(this SocketClient client, Guid conversation) =>
        [.. client.Frames
            .Where(frame => frame.Type is "message.new" or "message.sent" && frame.Id("message.conversationId") == conversation)
            .Select(frame => frame.Number("message.seq"))];

    /// <summary>Returns the latest unread counts that this connection has received: of a conversation, and in total; -1 for none.</summary>
    public static (long Unread, long Total) UnreadOf(this SocketClient client, Guid conversation)
    {
        var received = client.All("notification.unread");
        var last = received.LastOrDefault(frame => frame.Id("conversationId") == conversation);
        return last is null ? (-1, -1) : (last.Number("unread"), received[^1].Number("totalUnread"));
    }
}
