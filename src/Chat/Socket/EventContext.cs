namespace Chat.Socket;

/// <summary>The origin of an event, and the way to reply to it.</summary>
/// <param name="Connection">The connection that sent it.</param>
/// <param name="Id">The envelope's id, which direct replies repeat; null if the client sent none.</param>
public readonly record struct EventContext(Connection Connection, string? Id)
{
    /// <summary>The user that sent the event.</summary>
    public Guid UserId => Connection.User.Id;

    /// <summary>Replies on the event's connection, with its id.</summary>
    public void Reply<TEvent>(TEvent reply)
        where TEvent : IEvent<TEvent> => Connection.Send(Frame.Of(reply, Id));
}
