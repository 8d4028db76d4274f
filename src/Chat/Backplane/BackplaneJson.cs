using System.Text.Json.Serialization;
using Chat.Json;

namespace Chat.Backplane;

/// <summary>JSON metadata of the backplane's own node events.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ForwardedFrame))]
internal sealed partial class BackplaneJson : JsonSerializerContext
{
    /// <summary>The context with the wire's options.</summary>
    public static BackplaneJson Wire => Instance.Wire;

    // A nested type, because the static initializers of a partial type run in no defined order.
    private static class Instance
    {
        public static readonly BackplaneJson Wire = new(WireJson.CreateOptions());
    }
}
