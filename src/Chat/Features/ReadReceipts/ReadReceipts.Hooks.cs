using System.Net.Http.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class ReadReceiptsHooks
{
    /// <summary>Reads up to a number, or everything: message.read_ack, or the error.</summary>
    public static Task<Received> Read(this SocketClient client, Guid conversation, long? upTo = null) =>
        client.Ask("message.read", upTo is null ? new { conversationId = conversation } : new { conversationId = conversation, upTo });

    /// <summary>Reads over REST.</summary>
    public static Task<HttpResponseMessage> ReadOverRest(this ChatApp app, TestUser reader, Guid conversation, long? upTo = null) =>
        app.Http(reader).PostAsJsonAsync($"/chat/conversations/{conversation}/read", new { upTo });

    /// <summary>Tells that everything up to a number has reached this device. There is no answer to await but an error.</summary>
    public static async Task Deliver(this SocketClient client, Guid conversation, long upTo)
    {
        await client.Send("message.delivered", new { conversationId = conversation, upTo });
        await client.Settle();
    }
}
