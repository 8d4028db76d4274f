using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class BlockingHooks
{
    /// <summary>Blocks somebody over the socket: block.added, or the error.</summary>
    public static Task<Received> Block(this SocketClient client, TestUser other) => client.Ask("block.add", new { userId = other.Id });

    /// <summary>Lets somebody come through again: block.removed, or the error.</summary>
    public static Task<Received> Unblock(this SocketClient client, TestUser other) => client.Ask("block.remove", new { userId = other.Id });
}
