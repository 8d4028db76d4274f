using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>
/// Whom a user must not hear of, nor be heard by: the quick check in front of presence, typing and receipts. Cached
/// for two seconds at most, and forgotten at once when a block changes, here or on another node.
/// </summary>
internal sealed class Blocks(IDocumentStore store, RedisBackplane backplane, TimeProvider time) : INodeHandler<BlocksChanged>
{
    private const int MaxCached = 100_000;
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<Guid, (long Since, IReadOnlySet<Guid> Apart)> cache = new();

    /// <summary>Everybody between whom and the user there is a block, whoever made it.</summary>
    public async ValueTask<IReadOnlySet<Guid>> ApartFromAsync(Guid userId)
    {
        if (cache.TryGetValue(userId, out var known) && time.GetElapsedTime(known.Since) < Remembered)
            return known.Apart;
        // Taken before the query: a block that is added meanwhile makes this entry old, not wrong for long.
        var since = time.GetTimestamp();
        await using var session = store.QuerySession();
        var blocks = await session.Query<Block>().Where(block => block.BlockerId == userId || block.BlockedId == userId).ToListAsync();
        var apart = blocks.Select(block => block.BlockerId == userId ? block.BlockedId : block.BlockerId).ToHashSet();
        if (cache.Count > MaxCached)
            cache.Clear();
        cache[userId] = (since, apart);
        return apart;
    }

    /// <summary>Forgets what was cached of two people, on every node.</summary>
    public void Changed(Guid one, Guid other)
    {
        Forget(one, other);
        backplane.Publish(one, new BlocksChanged(other));
        backplane.Publish(other, new BlocksChanged(one));
    }

    public void Handle(Guid userId, BlocksChanged received) => Forget(userId, received.Other);

    private void Forget(Guid one, Guid other)
    {
        cache.TryRemove(one, out _);
        cache.TryRemove(other, out _);
    }
}
