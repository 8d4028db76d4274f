using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class SyncHooks
{
    /// <summary>Runs one sync. Returns its frames in order, up to sync.done or an error.</summary>
    public static async Task<IReadOnlyList<Received>> Sync(
        this SocketClient client, object conversations, Guid? after = null, Guid? until = null)
    {
        var id = Guid.NewGuid().ToString();
        await client.Send("sync", after is null && until is null ? new { conversations } : Bounded(conversations, after, until), id);
        var parts = new List<Received>();
        do
            parts.Add(await client.ReplyTo(id));
        while (parts[^1].Type is not ("sync.done" or "error"));
        return parts;
    }

    private static Dictionary<string, object> Bounded(object conversations, Guid? after, Guid? until)
    {
        var payload = new Dictionary<string, object> { ["conversations"] = conversations };
        if (after is not null)
            payload.Add("after", after);
        if (until is not null)
            payload.Add("until", until);
        return payload;
    }

    /// <summary>Returns the sequence numbers of the messages in a frame.</summary>
    public static long[] Numbers(this Received part) =>
        [.. part.List("messages").Select(message => message.Number("changedSeq"))];
}
