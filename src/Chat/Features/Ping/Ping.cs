using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Chat.Slices;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// The application's own heartbeat: a client that cannot see WebSocket pings (a browser) asks whether the server is
/// there, and learns its clock. Stores nothing, publishes nothing.
/// </summary>
public sealed class PingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.HandleEvent<Ping, PingHandler>(takesTurn: false);
}

/// <summary>The event <c>ping</c>.</summary>
/// <param name="Timestamp">Whatever the client wants back.</param>
public sealed record Ping(JsonElement? Timestamp) : IEvent<Ping>
{
    /// <inheritdoc/>
    public static string Name => "ping";

    /// <inheritdoc/>
    public static JsonTypeInfo<Ping> Json => FeatureJson.Wire.Ping;
}

/// <summary>The event <c>pong</c>.</summary>
/// <param name="Timestamp">The ping's; where it had none, the server's clock in milliseconds since 1970.</param>
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
            context.Reply(new Pong(received.Timestamp ?? JsonSerializer.SerializeToElement(now.ToUnixTimeMilliseconds(), FeatureJson.Wire.Int64), now));
            return default;
        }
        catch (JsonException)
        {
            // How the writer refuses a lone surrogate, which the reader lets through in a value that it does not look into.
            return new(ChatError.Invalid("timestamp", "A value without lone surrogates."));
        }
    }
}
