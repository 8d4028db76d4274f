using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>
/// Caches which users a user has a block with, in either direction, for the cheap checks on presence, typing and receipts.
/// Entries expire after two seconds and are invalidated at once when a block changes on any node.
/// </summary>
internal sealed class BlockCache(IDocumentStore store, RedisBackplane backplane, Func<IEnumerable<IBlockObserver>> observers,
    TimeProvider time) : INodeHandler<BlocksChanged>
{
    private const int MaxCached = 100_000;
    private static readonly TimeSpan Expiry = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<Guid, (long CachedAt, IReadOnlySet<Guid> Blocked)> cache = new();
    private long changes;

    /// <summary>Returns all users that the user has a block with, whoever created it.</summary>
    public async ValueTask<IReadOnlySet<Guid>> BlockedWithAsync(Guid userId)
    {
        if (cache.TryGetValue(userId, out var entry) && time.GetElapsedTime(entry.CachedAt) < Expiry)
            return entry.Blocked;
        // Both are read before the query: a block that changes during the query must not leave a stale entry.
        var cachedAt = time.GetTimestamp();
        var changesBefore = Interlocked.Read(ref changes);
        await using var session = store.QuerySession();
        var blocks = await session.Query<Block>().Where(block => block.BlockerId == userId || block.BlockedId == userId).ToListAsync();
        var blocked = blocks.Select(block => block.BlockerId == userId ? block.BlockedId : block.BlockerId).ToHashSet();
        if (cache.Count > MaxCached)
            cache.Clear();
        cache[userId] = (cachedAt, blocked);
        if (Interlocked.Read(ref changes) != changesBefore)
            cache.TryRemove(userId, out _);
        return blocked;
    }

    /// <summary>Returns whether a block exists between two users, in either direction. Always queries the database.</summary>
    public async Task<bool> IsBlockedAsync(Guid first, Guid second)
    {
        var (forward, reverse) = (Block.IdOf(first, second), Block.IdOf(second, first));
        await using var session = store.QuerySession();
        return await session.Query<Block>().AnyAsync(block => block.Id == forward || block.Id == reverse);
    }

    /// <summary>Invalidates the entries of two users on every node and notifies the observers.</summary>
    /// <param name="first">Either user of the block.</param>
    /// <param name="second">The other user.</param>
    public async Task ChangedAsync(Guid first, Guid second)
    {
        Invalidate(first, second);
        backplane.Publish(first, new BlocksChanged(second));
        backplane.Publish(second, new BlocksChanged(first));
        foreach (var observer in observers())
            await observer.OnBlockStoredAsync(first, second);
    }

    public void Handle(Guid userId, BlocksChanged received) => Invalidate(userId, received.Other);

    private void Invalidate(Guid first, Guid second)
    {
        Interlocked.Increment(ref changes);
        cache.TryRemove(first, out _);
        cache.TryRemove(second, out _);
        foreach (var observer in observers())
            observer.OnBlockChanged(first, second);
    }
}
