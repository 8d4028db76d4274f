using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Chat.Json;

/// <summary>Times on the wire and in documents: RFC 3339, UTC, milliseconds, for example <c>2026-01-31T09:30:00.000Z</c>.</summary>
internal sealed class WireTime : JsonConverter<DateTimeOffset>
{
    private const string Format = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.GetDateTimeOffset();

    /// <summary>Returns the same text, outside of JSON.</summary>
    public static string Text(DateTimeOffset value) => value.UtcDateTime.ToString(Format, CultureInfo.InvariantCulture);

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
    {
        Span<char> text = stackalloc char[24];
        value.UtcDateTime.TryFormat(text, out var length, Format, CultureInfo.InvariantCulture);
        writer.WriteStringValue(text[..length]);
    }
}

internal static class WireTimeExtensions
{
    /// <summary>Returns the current time in the wire's resolution, so that what is sent at once equals what is read back later.</summary>
    public static DateTimeOffset GetWireNow(this TimeProvider time)
    {
        var now = time.GetUtcNow();
        return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
    }
}
