using System.Diagnostics;
using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>One frame from the server.</summary>
public sealed record Received(string Type, string? Id, JsonElement Payload)
{
    /// <summary>When it came, as <see cref="Stopwatch"/> counts.</summary>
    public long ArrivedAt { get; } = Stopwatch.GetTimestamp();

    /// <summary>A field of the payload, by its path: <c>frame["message.seq"]</c>.</summary>
    public JsonElement this[string path] => path.Split('.').Aggregate(Payload, (element, name) => element.GetProperty(name));
}
