using System.Text.Json;
using System.Text.Json.Serialization;

namespace Chat.Json;

/// <summary>
/// Ids on the wire and in documents: UUIDs in lower case, with dashes. Reading accepts every form that .NET's parser does
/// (without dashes, in braces, in upper case), as in paths and queries.
/// </summary>
internal sealed class WireId : JsonConverter<Guid>
{
    public override Guid Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw new JsonException();
        return reader.TryGetGuid(out var id) ? id : Parse(reader.GetString());
    }

    public override void Write(Utf8JsonWriter writer, Guid value, JsonSerializerOptions options) => writer.WriteStringValue(value);

    public override Guid ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Parse(reader.GetString());

    public override void WriteAsPropertyName(Utf8JsonWriter writer, Guid value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.ToString());

    private static Guid Parse(string? text) => Guid.TryParse(text, out var id) ? id : throw new JsonException();
}
