using System.Text.Json.Serialization;
using Chat.Json;

namespace Chat.Backplane;

/// <summary>JSON metadata of the backplane's own node events.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ForwardedFrame))]
internal sealed partial class BackplaneJson : JsonSerializerContext
{
    /// <summary>The context with the wire's options.</summary>
    public static BackplaneJson Wire { get; } = new(WireJson.CreateOptions());
}
