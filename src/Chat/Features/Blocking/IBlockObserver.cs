namespace Chat.Features;

/// <summary>Is notified when a block is added or removed.</summary>
public interface IBlockObserver
{
    /// <summary>
    /// Called after a block between two users was added or removed, in either direction. A block in the other direction may
    /// still exist.
    /// </summary>
    /// <param name="first">Either user of the block.</param>
    /// <param name="second">The other user.</param>
    ValueTask BlockChangedAsync(Guid first, Guid second);
}
