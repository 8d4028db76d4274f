using System.Text.Json.Serialization;
using Chat.Json;
using Chat.Socket;

namespace Chat.Admin;

/// <summary>JSON metadata of the admin port's responses.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ConnectionList))]
[JsonSerializable(typeof(DisconnectedConnections))]
[JsonSerializable(typeof(DrainView))]
[JsonSerializable(typeof(LogLevelsView))]
[JsonSerializable(typeof(FrameTrace))]
[JsonSerializable(typeof(TracesView))]
[JsonSerializable(typeof(BundleAbout))]
[JsonSerializable(typeof(BundleConnections))]
[JsonSerializable(typeof(BundleRuntime))]
internal sealed partial class AdminJson : JsonSerializerContext
{
    /// <summary>The context with the wire's options.</summary>
    public static AdminJson Wire { get; } = new(WireJson.CreateOptions());
}
