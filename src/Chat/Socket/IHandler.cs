namespace Chat.Socket;

/// <summary>
/// Handles one kind of event from clients. Handlers are singletons; the events of one connection reach them one at a
/// time, in the order in which they arrived. Once called, a handler runs to its end: whether something is stored is
/// decided by the database's commit, never by how long the socket lives.
/// </summary>
/// <typeparam name="TEvent">The event.</typeparam>
public interface IHandler<in TEvent>
{
    /// <summary>Handles one event.</summary>
    /// <returns>Null, or the error that the client is told under the event's id. The connection lives on.</returns>
    ValueTask<ChatError?> HandleAsync(TEvent received, EventContext context);
}
