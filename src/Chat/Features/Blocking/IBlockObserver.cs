namespace Chat.Features;

/// <summary>Is notified when a block between two users is added or removed; one in the other direction may still exist.</summary>
public interface IBlockObserver
{
    /// <summary>Called on every node with a connection of either user. Must not wait.</summary>
    /// <param name="first">Either user of the block.</param>
    /// <param name="second">The other user.</param>
    void OnBlockChanged(Guid first, Guid second)
    {
    }

    /// <summary>Called on the node that made the change, before the request is answered.</summary>
    /// <param name="first">Either user of the block.</param>
    /// <param name="second">The other user.</param>
    ValueTask OnBlockStoredAsync(Guid first, Guid second) => ValueTask.CompletedTask;
}
