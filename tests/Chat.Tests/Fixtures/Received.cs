using System.Diagnostics;
using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>A frame received from the server.</summary>
public sealed record Received(string Type, string? Id, JsonElement Payload)
{
    /// <summary>When it was received, as a <see cref="Stopwatch"/> timestamp.</summary>
    public long ArrivedAt { get; } = Stopwatch.GetTimestamp();

    /// <summary>A field of the payload, by path: <c>frame["message.seq"]</c>.</summary>
    public JsonElement this[string path] => path.Split('.').Aggregate(Payload, (element, name) => element.GetProperty(name));
}
