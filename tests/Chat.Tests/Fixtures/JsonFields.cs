using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>
/// Typed access to the fields of frames and REST responses, by path: <c>frame.Number("message.seq")</c>. Fails if the field is
/// absent or has another type.
/// </summary>
internal static class JsonFields
{
    public static JsonElement Field(this JsonElement json, string path) =>
        path.Split('.').Aggregate(json, (element, name) => element.GetProperty(name));

    public static string Text(this JsonElement json, string path) => json.Field(path).GetString()!;

    public static long Number(this JsonElement json, string path) => json.Field(path).GetInt64();

    public static bool Flag(this JsonElement json, string path) => json.Field(path).GetBoolean();

    public static Guid Id(this JsonElement json, string path) => json.Field(path).GetGuid();

    public static DateTimeOffset Time(this JsonElement json, string path) => json.Field(path).GetDateTimeOffset();

    public static JsonElement[] List(this JsonElement json, string path) => [.. json.Field(path).EnumerateArray()];

    /// <summary>Returns whether an object has this field, even if it is null.</summary>
    public static bool Has(this JsonElement json, string name) => json.TryGetProperty(name, out _);

    public static string Text(this Received frame, string path) => frame.Payload.Text(path);

    public static long Number(this Received frame, string path) => frame.Payload.Number(path);

    public static bool Flag(this Received frame, string path) => frame.Payload.Flag(path);

    public static Guid Id(this Received frame, string path) => frame.Payload.Id(path);

    public static DateTimeOffset Time(this Received frame, string path) => frame.Payload.Time(path);

    public static JsonElement[] List(this Received frame, string path) => frame.Payload.List(path);

    public static bool Has(this Received frame, string name) => frame.Payload.Has(name);
}
