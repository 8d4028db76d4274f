using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class BlockingHooks
{
    /// <summary>Blocks somebody and returns the direct answer.</summary>
    public static Task<Received> Block(this SocketClient client, TestUser other) => client.Ask("block.add", new { userId = other.Id });

    /// <summary>Unblocks somebody and returns the direct answer.</summary>
    public static Task<Received> Unblock(this SocketClient client, TestUser other) => client.Ask("block.remove", new { userId = other.Id });
}
