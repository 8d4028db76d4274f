using System.Collections.Frozen;
using System.Text.Json;
using Chat.Storage;

namespace Chat.Socket;

/// <summary>
/// From a frame to the one handler of its event. The routing table is built once, from what the slices registered;
/// a name given twice fails the start. Here is the only error boundary of the socket: what a handler throws is a
/// fault of ours or of the database, is logged once, and the client is told without details.
/// </summary>
public sealed partial class SocketDispatcher
{
    private readonly FrozenDictionary<string, SocketRoute> routes;
    private readonly ILogger<SocketDispatcher> log;

    internal SocketDispatcher(IEnumerable<SocketRoute> routes, ILogger<SocketDispatcher> log)
    {
        this.log = log;
        this.routes = routes.ToFrozenDictionary(route => route.Name, StringComparer.Ordinal);
    }

    /// <summary>The names of all events that a client may send.</summary>
    public IEnumerable<string> Names => routes.Keys;

    /// <summary>Handles one frame to its end.</summary>
    /// <returns>Null, or the error and the id of the event that it answers.</returns>
    internal async ValueTask<(ChatError Error, string? Id)?> DispatchAsync(ReadOnlyMemory<byte> frame, Connection connection)
    {
        if (!Envelope.TryRead(frame, out var envelope))
            return (ChatError.NoEnvelope, null);
        var isKnown = routes.TryGetValue(envelope.Type, out var route);
        if (!connection.IsAuthenticated && route is not { IsOpen: true })
            return (ChatError.Unauthorized, envelope.Id);
        if (!isKnown)
            return (ChatError.UnknownEvent, envelope.Id);

        try
        {
            return await route!.HandleAsync(envelope.Payload, new EventContext(connection, envelope.Id)) is { } error
                ? (error, envelope.Id)
                : null;
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            DatabaseAway(envelope.Type, failure.Message);
            return (ChatError.Unavailable, envelope.Id);
        }
#pragma warning disable CA1031 // The boundary: one event's fault must not take the connection with it.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            HandlerFailed(failure, envelope.Type, connection.Id);
            return (ChatError.Internal, envelope.Id);
        }
    }

    [LoggerMessage(LogLevel.Error, "The handler of {Event} failed (connection {ConnectionId})")]
    private partial void HandlerFailed(Exception failure, string @event, Guid connectionId);

    [LoggerMessage(LogLevel.Warning, "The database is away: {Event} was answered UNAVAILABLE ({Reason})")]
    private partial void DatabaseAway(string @event, string reason);
}

/// <summary>One line of the routing table.</summary>
internal abstract class SocketRoute(string name, bool isOpen)
{
    public string Name => name;

    /// <summary>Whether the event may come before a token was accepted.</summary>
    public bool IsOpen => isOpen;

    public abstract ValueTask<ChatError?> HandleAsync(ReadOnlyMemory<byte> payload, EventContext context);
}

internal sealed class SocketRoute<TEvent>(IHandler<TEvent> handler, bool isOpen) : SocketRoute(TEvent.Name, isOpen)
    where TEvent : IEvent<TEvent>
{
    public override ValueTask<ChatError?> HandleAsync(ReadOnlyMemory<byte> payload, EventContext context)
    {
        TEvent received;
        try
        {
            received = JsonSerializer.Deserialize(payload.Span, TEvent.Json)!;
        }
        catch (JsonException failure)
        {
            return new(ChatError.Unreadable(failure));
        }

        return handler.HandleAsync(received, context);
    }
}
