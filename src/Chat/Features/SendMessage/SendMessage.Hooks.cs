using System.Net.Http.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class SendMessageHooks
{
    /// <summary>Sends a message and returns the reply: message.sent or the error.</summary>
    public static Task<Received> SendMessage(this SocketClient client, Guid conversation, string content, string? tempId = null) =>
        client.Ask(
        "message.send",
        tempId is null ? new { conversationId = conversation, content } : new { conversationId = conversation, content, tempId });

    /// <summary>Sends a message over REST.</summary>
    public static Task<HttpResponseMessage> SendOverRest(
        this ChatApp app, TestUser sender, Guid conversation, string content, string? tempId = null) =>
        app.Http(sender).PostAsJsonAsync($"/chat/conversations/{conversation}/messages", new { content, tempId });

    /// <summary>Returns the next message that was sent by another user or another device of the same user.</summary>
    public static Task<Received> NextMessage(this SocketClient client) => client.Next("message.new");
}
