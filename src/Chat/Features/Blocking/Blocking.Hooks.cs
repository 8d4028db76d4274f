using System.Net.Http.Json;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class BlockingHooks
{
    /// <summary>Blocks a user over the socket. Returns block.added or the error.</summary>
    public static Task<Received> Block(this SocketClient client, TestUser other) => client.Ask("block.add", new { userId = other.Id });

    /// <summary>Removes a block over the socket. Returns block.removed or the error.</summary>
    public static Task<Received> Unblock(this SocketClient client, TestUser other) => client.Ask("block.remove", new { userId = other.Id });

    /// <summary>Returns the users that the caller blocks, in the order of the list.</summary>
    public static async Task<IReadOnlyList<Guid>> Blocks(this ChatApp app, TestUser caller) =>
        [.. (await app.Http(caller).GetFromJsonAsync<JsonElement>("/chat/blocks"))
            .List("blocks").Select(block => block.Id("userId"))];
}
