using System.Text.Json;

namespace Chat.Socket;

/// <summary>One line of the routing table.</summary>
internal abstract class SocketRoute(string name)
{
    public string Name => name;

    /// <summary>Whether the event may come before a token was accepted.</summary>
    public bool AllowsAnonymous { get; init; }

    /// <summary>Whether the handler itself bounds how often the event may come.</summary>
    public bool HasOwnRateLimit { get; init; }

    /// <summary>Whether the event takes one of its user's <see cref="WorkLimiter"/>.</summary>
    public bool IsLimited { get; init; }

    /// <summary>Reads the event out of its frame before it waits for anything, since the frame's buffer is lent until then.</summary>
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

        return IsLimited ? HandleInTurnAsync(received, context, work) : handler.HandleAsync(received, context);
    }

    private async ValueTask<ChatError?> HandleInTurnAsync(TEvent received, EventContext context, WorkLimiter work)
    {
        using var entry = await work.AcquireOrRefuseAsync(context.UserId);
        return entry.Refusal ?? await handler.HandleAsync(received, context);
    }
}
