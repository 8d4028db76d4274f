using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class TypingHooks
{
    /// <summary>Reports that the client's user is typing; returns once the server has handled it.</summary>
    public static async Task StartTyping(this SocketClient client, Guid conversation)
    {
        await client.Send("typing.start", new { conversationId = conversation });
        await client.Settle();
    }

    /// <summary>Reports that the client's user has stopped typing; returns once the server has handled it.</summary>
    public static async Task StopTyping(this SocketClient client, Guid conversation)
    {
        await client.Send("typing.stop", new { conversationId = conversation });
        await client.Settle();
    }

    /// <summary>Returns whether the next typing.update says that a user is typing.</summary>
    public static async Task<bool> NextTyping(this SocketClient client) => (await client.Next("typing.update")).Flag("typing");
}
