using System.Text.Json;

namespace Chat.Socket;

/// <summary>An entry of the routing table.</summary>
internal abstract class SocketRoute(string name)
{
    public string Name => name;

    /// <summary>Whether the event is allowed before authentication.</summary>
    public bool AllowsAnonymous { get; init; }

    /// <summary>Whether the handler limits the event's rate itself.</summary>
    public bool HasOwnRateLimit { get; init; }

    /// <summary>Whether the event needs a permit of its user's <see cref="WorkLimiter"/>.</summary>
    public bool IsLimited { get; init; }

    /// <summary>Deserializes and handles the event. Deserializes before the first await, since the frame's buffer is borrowed.</summary>
    public abstract ValueTask<ChatError?> HandleAsync(ReadOnlyMemory<byte> payload, EventContext context, WorkLimiter work);
}

internal sealed class SocketRoute<TEvent>(IHandler<TEvent> handler) : SocketRoute(TEvent.Name)
    where TEvent : IEvent<TEvent>
{
    public override ValueTask<ChatError?> HandleAsync(ReadOnlyMemory<byte> payload, EventContext context, WorkLimiter work)
    {
        TEvent received;
        try
        {
            received = JsonSerializer.Deserialize(payload.Span, TEvent.Json)!;
        }
        catch (JsonException failure)
        {
            return new(ChatError.Malformed(failure));
        }

        return IsLimited ? HandleWithPermitAsync(received, context, work) : handler.HandleAsync(received, context);
    }

    private async ValueTask<ChatError?> HandleWithPermitAsync(TEvent received, EventContext context, WorkLimiter work)
    {
        using var entry = await work.AcquireOrRefuseAsync(context.UserId);
        return entry.Refusal ?? await handler.HandleAsync(received, context);
    }
}
