namespace Chat.Features;

/// <summary>Told when a block begins or ends.</summary>
public interface IBlockObserver
{
    /// <summary>
    /// Between these two a block was added or removed; who blocked whom does not matter, and there may be another one
    /// between them before or after it.
    /// </summary>
    /// <param name="one">The one.</param>
    /// <param name="other">The other.</param>
    ValueTask BlockChangedAsync(Guid one, Guid other);
}
