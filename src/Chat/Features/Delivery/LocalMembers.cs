using System.Runtime.InteropServices;

namespace Chat.Features;

/// <summary>Indexes the node's feeds by conversation: which of the users connected here are members.</summary>
internal sealed class LocalMembers
{
    private readonly Lock gate = new();

    // Arrays are replaced, never changed: a conversation rarely has more than one member here, and a reader needs no copy.
    private readonly Dictionary<Guid, UserFeed[]> feeds = [];

    /// <summary>Returns the feeds of a conversation's members.</summary>
    public IReadOnlyList<UserFeed> Of(Guid conversationId)
    {
        lock (gate)
            return feeds.GetValueOrDefault(conversationId, []);
    }

    public void Add(Guid conversationId, UserFeed feed)
    {
        lock (gate)
        {
            ref var members = ref CollectionsMarshal.GetValueRefOrAddDefault(feeds, conversationId, out _);
            members = members is null ? [feed] : [.. members, feed];
        }
    }

    public void Remove(IEnumerable<Guid> conversations, UserFeed feed)
    {
        lock (gate)
        {
            foreach (var conversationId in conversations)
            {
                if (!feeds.TryGetValue(conversationId, out var members))
                    continue;
                if (members.Length == 1 && members[0] == feed)
                    feeds.Remove(conversationId);
                else
                    feeds[conversationId] = [.. members.Where(member => member != feed)];
            }
        }
    }
}
