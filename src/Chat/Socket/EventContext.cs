namespace Chat.Socket;

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
