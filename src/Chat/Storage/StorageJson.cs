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
    public static StorageJson Wire => Instance.Wire;

    // A nested type, because the static initializers of a partial type run in no defined order.
    private static class Instance
    {
        public static readonly StorageJson Wire = new(WireJson.CreateOptions());
    }
}
