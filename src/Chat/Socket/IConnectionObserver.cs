namespace Chat.Socket;

/// <summary>
/// Follows connections from their acceptance to their end. Called in the order of <c>Slices.cs</c>.
/// </summary>
public interface IConnectionObserver
{
    /// <summary>Before <c>auth_success</c>: what must be in place for the user's live events to arrive.</summary>
    ValueTask OnOpeningAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>After <c>auth_success</c>, before the first event of the client is handled.</summary>
    ValueTask OnOpenedAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>The connection has left the hub; runs for each one that <see cref="OnOpeningAsync"/> was called for.</summary>
    ValueTask OnClosedAsync(Connection connection) => ValueTask.CompletedTask;
}
