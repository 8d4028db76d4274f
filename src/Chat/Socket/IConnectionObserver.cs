namespace Chat.Socket;

/// <summary>Observes connections from sign-in to their end. Called in the order of <c>Slices.cs</c>.</summary>
public interface IConnectionObserver
{
    /// <summary>Runs before <c>auth_success</c>: sets up what the user's live events need.</summary>
    ValueTask OnOpeningAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>Runs after <c>auth_success</c>, before the client's first event is handled.</summary>
    ValueTask OnOpenedAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>Runs after the connection has left the hub, for each one that <see cref="OnOpeningAsync"/> was called for.</summary>
    ValueTask OnClosedAsync(Connection connection) => ValueTask.CompletedTask;
}
