using System.Text.Json;

namespace Chat.Socket;

/// <summary>A client's frame: <c>{ "type": string, "id"?: string, "payload"?: object }</c>.</summary>
/// <param name="Type">The event's name.</param>
/// <param name="Id">The client's id for the event; direct replies repeat it.</param>
/// <param name="Payload">The payload's raw JSON; <c>{}</c> if it is absent or null.</param>
internal readonly record struct Envelope(string Type, string? Id, ReadOnlyMemory<byte> Payload)
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = 32 };
    private static readonly ReadOnlyMemory<byte> NoPayload = "{}"u8.ToArray();

    /// <summary>Reads the envelope in one pass and leaves the payload unparsed.</summary>
    /// <returns>False if the frame is not JSON, not such an object, or repeats an envelope field.</returns>
    public static bool TryRead(ReadOnlyMemory<byte> frame, out Envelope envelope)
    {
        envelope = default;
        try
        {
            var reader = new Utf8JsonReader(frame.Span, Options);
            string? type = null, id = null;
            ReadOnlyMemory<byte>? payload = null;
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return false;

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                // A comparison stops at the first difference, so an escaped name with a lone surrogate could pass: decode it.
                if (reader.ValueIsEscaped)
                    reader.GetString();
                if (reader.ValueTextEquals("type"u8))
                {
                    if (type is not null || !reader.Read() || reader.TokenType != JsonTokenType.String)
                        return false;
                    type = reader.GetString();
                }
                else if (reader.ValueTextEquals("id"u8))
                {
                    if (id is not null || !reader.Read() || reader.TokenType != JsonTokenType.String)
                        return false;
                    id = reader.GetString();
                }
                else if (reader.ValueTextEquals("payload"u8))
                {
                    if (payload is not null || !reader.Read() || reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.Null))
                        return false;
                    var start = (int)reader.TokenStartIndex;
                    var isNull = reader.TokenType == JsonTokenType.Null;
                    reader.Skip();
                    payload = isNull ? NoPayload : frame[start..(int)reader.BytesConsumed];
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }

            if (type is null || reader.Read())
                return false;
            envelope = new Envelope(type, id, payload ?? NoPayload);
            return true;
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            // The reader reports a lone surrogate as InvalidOperationException.
            return false;
        }
    }
}
