using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Chat.Slices;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// The application-level heartbeat, for clients that cannot observe WebSocket pings (browsers): checks that the server responds
/// and returns its clock. Stores and publishes nothing.
/// </summary>
public sealed class PingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.HandleEvent<Ping, PingHandler>(takesTurn: false);
}

/// <summary>The event <c>ping</c>.</summary>
/// <param name="Timestamp">Any value; echoed in the reply.</param>
public sealed record Ping(JsonElement? Timestamp) : IEvent<Ping>
{
    /// <inheritdoc/>
    public static string Name => "ping";

    /// <inheritdoc/>
    public static JsonTypeInfo<Ping> Json => FeatureJson.Wire.Ping;
}

/// <summary>The event <c>pong</c>.</summary>
/// <param name="Timestamp">The ping's value; without one, the server's clock in milliseconds since 1970-01-01.</param>
/// <param name="ServerTime">The server's clock.</param>
public sealed record Pong(JsonElement Timestamp, DateTimeOffset ServerTime) : IEvent<Pong>
{
    /// <inheritdoc/>
    public static string Name => "pong";

    /// <inheritdoc/>
    public static JsonTypeInfo<Pong> Json => FeatureJson.Wire.Pong;
}

internal sealed class PingHandler(TimeProvider time) : IHandler<Ping>
{
    public ValueTask<ChatError?> HandleAsync(Ping received, EventContext context)
    {
        try
        {
            var now = time.GetUtcNow();
            context.Reply(new Pong(
                received.Timestamp ?? JsonSerializer.SerializeToElement(now.ToUnixTimeMilliseconds(), FeatureJson.Wire.Int64), now));
            return default;
        }
        catch (JsonException)
        {
            // A lone surrogate: the reader does not validate the value, the writer throws.
            return new(ChatError.Invalid("timestamp", "Must not contain lone surrogates."));
        }
    }
}
