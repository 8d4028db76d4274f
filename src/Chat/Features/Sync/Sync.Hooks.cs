using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class SyncHooks
{
    /// <summary>One sync: its parts, in order, up to sync.done; or the one error that answered it.</summary>
    public static async Task<IReadOnlyList<Received>> Sync(this SocketClient client, object conversations)
    {
        var id = Guid.NewGuid().ToString();
        await client.Send("sync", new { conversations }, id);
        var parts = new List<Received>();
        do
            parts.Add(await client.ReplyTo(id));
        while (parts[^1].Type is not ("sync.done" or "error"));
        return parts;
    }

    /// <summary>The numbers of the messages in a part.</summary>
    public static long[] Numbers(this Received part) =>
        [.. part["messages"].EnumerateArray().Select(message => message.GetProperty("changedSeq").GetInt64())];
}
