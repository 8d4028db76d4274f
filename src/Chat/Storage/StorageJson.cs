using System.Text.Json.Serialization;
using Chat.Json;

namespace Chat.Storage;

/// <summary>JSON metadata of the documents that more than one feature uses.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Message))]
[JsonSerializable(typeof(ConversationHead))]
[JsonSerializable(typeof(Member))]
[JsonSerializable(typeof(Block))]
internal sealed partial class StorageJson : JsonSerializerContext
{
    /// <summary>The context with the wire's options.</summary>
    public static StorageJson Wire { get; } = new(WireJson.CreateOptions());
}
