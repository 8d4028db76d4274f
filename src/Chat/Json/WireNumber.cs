using System.Text.Json;
using System.Text.Json.Serialization;

namespace Chat.Json;

/// <summary>
/// Integers as JSON Schema defines them: numbers without a fraction, in any notation. Languages with a single number type
/// write <c>1.0</c> or <c>1e2</c>.
/// </summary>
internal sealed class WireNumber : JsonConverter<long>
{
    public override long Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.Number)
            throw new JsonException();
        if (reader.TryGetInt64(out var whole))
            return whole;
        if (reader.TryGetDecimal(out var number) && number == decimal.Truncate(number) && number is >= long.MinValue and <= long.MaxValue)
            return (long)number;
        throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, long value, JsonSerializerOptions options) => writer.WriteNumberValue(value);
}
