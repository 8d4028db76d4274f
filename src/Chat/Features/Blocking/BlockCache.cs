using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>
/// Whom a user must not hear of, nor be heard by: the quick check in front of presence, typing and receipts. Cached
/// for two seconds at most, and forgotten at once when a block changes, here or on another node.
/// </summary>
internal sealed class BlockCache(IDocumentStore store, RedisBackplane backplane, Func<IEnumerable<IBlockObserver>> observers, TimeProvider time) : INodeHandler<BlocksChanged>
{
    private const int MaxCached = 100_000;
    private static readonly TimeSpan Expiry = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<Guid, (long Since, IReadOnlySet<Guid> Apart)> cache = new();
    private long changes;

    /// <summary>Between these two a block was added or removed, on whichever node. Raised on every node that has one of them.</summary>
    public event Action<Guid, Guid>? Changed;

    /// <summary>Everybody between whom and the user there is a block, whoever made it.</summary>
    public async ValueTask<IReadOnlySet<Guid>> BlockedWithAsync(Guid userId)
    {
        if (cache.TryGetValue(userId, out var known) && time.GetElapsedTime(known.Since) < Expiry)
            return known.Apart;
        // Both taken before the query: what has changed meanwhile must not be remembered as it was.
        var since = time.GetTimestamp();
        var changesBefore = Interlocked.Read(ref changes);
        await using var session = store.QuerySession();
        var blocks = await session.Query<Block>().Where(block => block.BlockerId == userId || block.BlockedId == userId).ToListAsync();
        var apart = blocks.Select(block => block.BlockerId == userId ? block.BlockedId : block.BlockerId).ToHashSet();
        if (cache.Count > MaxCached)
            cache.Clear();
        cache[userId] = (since, apart);
        if (Interlocked.Read(ref changes) != changesBefore)
            cache.TryRemove(userId, out _);
        return apart;
    }

    /// <summary>Whether there is a block between two people, in either direction: asks the database.</summary>
    public async Task<bool> IsBlockedAsync(Guid one, Guid other)
    {
        var (first, second) = (Block.IdOf(one, other), Block.IdOf(other, one));
        await using var session = store.QuerySession();
        return await session.Query<Block>().AnyAsync(block => block.Id == first || block.Id == second);
    }

    /// <summary>Forgets what was cached of two people, on every node, and tells the observers.</summary>
    /// <param name="one">The one.</param>
    /// <param name="other">The other.</param>
    public async Task ChangedAsync(Guid one, Guid other)
    {
        Invalidate(one, other);
        backplane.Publish(one, new BlocksChanged(other));
        backplane.Publish(other, new BlocksChanged(one));
        foreach (var observer in observers())
            await observer.BlockChangedAsync(one, other);
    }

    public void Handle(Guid userId, BlocksChanged received) => Invalidate(userId, received.Other);

    private void Invalidate(Guid one, Guid other)
    {
        Interlocked.Increment(ref changes);
        cache.TryRemove(one, out _);
        cache.TryRemove(other, out _);
        Changed?.Invoke(one, other);
    }
}
