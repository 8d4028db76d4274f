namespace Chat.Socket;

/// <summary>
/// Handles one type of client event. Handlers are singletons; the events of one connection are handled one at a time, in
/// the order of arrival. A handler always runs to completion: whether something is stored is decided by the database's
/// commit, not by how long the socket lives.
/// </summary>
/// <typeparam name="TEvent">The event.</typeparam>
public interface IHandler<in TEvent>
{
    /// <summary>Handles one event.</summary>
    /// <returns>Null, or the error to send as the reply. The connection stays open.</returns>
    ValueTask<ChatError?> HandleAsync(TEvent received, EventContext context);
}
