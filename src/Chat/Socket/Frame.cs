using System.Text;
using System.Text.Json;
using Chat.Json;

namespace Chat.Socket;

/// <summary>
/// One envelope, encoded once: <c>{"type":…,"id"?:…,"payload":…}</c> in UTF-8. A frame that goes to many is the same
/// object in every send queue; nobody changes its bytes.
/// </summary>
/// <param name="Bytes">The text frame as it goes over the wire.</param>
/// <param name="Droppable">Whether a queue that is half full may leave it out (typing and presence).</param>
public sealed record Frame(ReadOnlyMemory<byte> Bytes, bool Droppable = false)
{
    /// <summary>
    /// The most bytes that a frame of the server's holds, so that a client knows what to make room for. What could be longer
    /// is sent in parts.
    /// </summary>
    public const int MaxBytes = 256 * 1024;

    /// <summary>Becomes a WebSocket ping on its way down; see <see cref="SocketStream"/>. No event is empty.</summary>
    internal static readonly Frame Ping = new(ReadOnlyMemory<byte>.Empty);

    /// <summary>Encodes an event; with an id it is the reply to the event that carried that id.</summary>
    public static Frame Of<TEvent>(TEvent payload, string? id = null, bool droppable = false)
        where TEvent : IEvent<TEvent>
    {
        var frame = Of<TEvent>(id, JsonSerializer.SerializeToUtf8Bytes(payload, TEvent.Json));
        return droppable ? frame with { Droppable = true } : frame;
    }

    /// <summary>The same, for a payload that is there as JSON already, in pieces.</summary>
    public static Frame Of<TEvent>(string? id, params ReadOnlySpan<ReadOnlyMemory<byte>> payload)
        where TEvent : IEvent<TEvent>
    {
        var head = Head<TEvent>.Bytes;
        var idText = id is null ? default : JsonEncodedText.Encode(id, WireEncoder.Instance).EncodedUtf8Bytes;
        var length = head.Length + (id is null ? 0 : IdKey.Length + idText.Length + 1) + PayloadKey.Length + 1;
        foreach (var part in payload)
            length += part.Length;
        var bytes = new byte[length];

        var rest = bytes.AsSpan();
        Write(ref rest, head);
        if (id is not null)
        {
            Write(ref rest, IdKey);
            Write(ref rest, idText);
            Write(ref rest, "\""u8);
        }

        Write(ref rest, PayloadKey);
        foreach (var part in payload)
            Write(ref rest, part.Span);
        Write(ref rest, "}"u8);
        return new Frame(bytes);
    }

    private static ReadOnlySpan<byte> IdKey => ",\"id\":\""u8;

    private static ReadOnlySpan<byte> PayloadKey => ",\"payload\":"u8;

    private static void Write(ref Span<byte> rest, ReadOnlySpan<byte> part)
    {
        part.CopyTo(rest);
        rest = rest[part.Length..];
    }

    private static class Head<TEvent>
        where TEvent : IEvent<TEvent>
    {
        public static readonly byte[] Bytes = Encoding.UTF8.GetBytes($"{{\"type\":\"{TEvent.Name}\"");
    }
}
