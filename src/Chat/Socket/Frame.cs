using System.Text;
using System.Text.Json;
using Chat.Json;

namespace Chat.Socket;

/// <summary>
/// One envelope, encoded once: <c>{"type":…,"id"?:…,"payload":…}</c> in UTF-8. Fan-out puts the same instance into every
/// send queue; its bytes are immutable.
/// </summary>
/// <param name="Bytes">The text frame's payload on the wire.</param>
/// <param name="Droppable">Whether a queue that is half full may drop it (typing and presence).</param>
public sealed record Frame(ReadOnlyMemory<byte> Bytes, bool Droppable = false)
{
    /// <summary>The largest frame that the server sends, in bytes; larger content is split. Clients may size buffers by it.</summary>
    public const int MaxBytes = 256 * 1024;

    /// <summary>A marker that <see cref="SocketStream"/> turns into a WebSocket ping. No event is empty.</summary>
    internal static readonly Frame Ping = new(ReadOnlyMemory<byte>.Empty);

    /// <summary>Encodes an event; an <paramref name="id"/> makes it the reply to the event with that id.</summary>
    public static Frame Of<TEvent>(TEvent payload, string? id = null, bool droppable = false)
        where TEvent : IEvent<TEvent>
    {
        var frame = Of<TEvent>(id, JsonSerializer.SerializeToUtf8Bytes(payload, TEvent.Json));
        return droppable ? frame with { Droppable = true } : frame;
    }

    /// <summary>Encodes an event whose payload is JSON already, in pieces.</summary>
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
