using System.Text.Json.Serialization;
using Chat.Json;

namespace Chat.Socket;

/// <summary>JSON metadata of the events that belong to no feature.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ChatError))]
[JsonSerializable(typeof(Authenticate))]
[JsonSerializable(typeof(AuthSuccess))]
[JsonSerializable(typeof(AuthFailed))]
internal sealed partial class SocketJson : JsonSerializerContext
{
    /// <summary>The context with the wire's options.</summary>
    public static SocketJson Wire { get; } = new(WireJson.CreateOptions());
}
