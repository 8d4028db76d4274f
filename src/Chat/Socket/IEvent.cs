using System.Text.Json.Serialization.Metadata;

namespace Chat.Socket;

/// <summary>
/// A record that travels as the payload of an envelope, from a client or to one. The type itself carries its wire
/// name and how it is read and written, so that a name stands in exactly one place.
/// </summary>
/// <typeparam name="TSelf">The record itself.</typeparam>
public interface IEvent<TSelf>
    where TSelf : IEvent<TSelf>
{
    /// <summary>The envelope's <c>type</c>, for example <c>message.send</c>.</summary>
    static abstract string Name { get; }

    /// <summary>How the payload is read and written.</summary>
    static abstract JsonTypeInfo<TSelf> Json { get; }
}

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

/// <summary>Where an event came from, and the way to answer it.</summary>
/// <param name="Connection">The connection that sent it.</param>
/// <param name="Id">The envelope's id, which every direct reply repeats; null if the client gave none.</param>
public readonly record struct EventContext(Connection Connection, string? Id)
{
    /// <summary>The user that sent the event.</summary>
    public Guid UserId => Connection.User.Id;

    /// <summary>Answers the event on its own connection, under its id.</summary>
    public void Reply<TEvent>(TEvent reply)
        where TEvent : IEvent<TEvent> => Connection.Send(Frame.Of(reply, Id));
}
