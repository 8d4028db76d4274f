using System.Net.Http.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class ReadReceiptsHooks
{
    /// <summary>Marks messages up to a number, or all of them, as read. Returns message.read_ack or the error.</summary>
    public static Task<Received> Read(this SocketClient client, Guid conversation, long? upTo = null) =>
        client.Ask("message.read", upTo is null ? new { conversationId = conversation } : new { conversationId = conversation, upTo });

    /// <summary>Marks messages as read over REST.</summary>
    public static Task<HttpResponseMessage> ReadOverRest(this ChatApp app, TestUser reader, Guid conversation, long? upTo = null) =>
        app.Http(reader).PostAsJsonAsync($"/chat/conversations/{conversation}/read", new { upTo });

    /// <summary>Marks messages up to a number as delivered to this device. Only an error is answered.</summary>
    public static async Task Deliver(this SocketClient client, Guid conversation, long upTo)
    {
        await client.Send("message.delivered", new { conversationId = conversation, upTo });
        await client.Settle();
    }
}
