using System.Text.Json.Serialization;
using Chat.Json;

namespace Chat.Features;

/// <summary>JSON metadata of all feature types that are sent or stored, one line each. A single context, because its generator emits
/// metadata of shared types only once.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
//// Ping
[JsonSerializable(typeof(Ping))]
[JsonSerializable(typeof(Pong))]
//// UserDirectory
[JsonSerializable(typeof(User))]
[JsonSerializable(typeof(UsernameForm))]
[JsonSerializable(typeof(ReleaseUsername))]
[JsonSerializable(typeof(MoveUsername))]
//// Conversations
[JsonSerializable(typeof(OpenConversation))]
[JsonSerializable(typeof(ConversationView))]
[JsonSerializable(typeof(ConversationPage))]
[JsonSerializable(typeof(Conversation))]
[JsonSerializable(typeof(ConversationStarted))]
//// Unread
[JsonSerializable(typeof(UnreadSummary))]
//// Delivery
[JsonSerializable(typeof(NewMessage))]
[JsonSerializable(typeof(ConversationUpdated))]
[JsonSerializable(typeof(NotificationUnread))]
[JsonSerializable(typeof(ChangeCommitted))]
[JsonSerializable(typeof(CursorMoved))]
//// SendMessage
[JsonSerializable(typeof(SendMessage))]
[JsonSerializable(typeof(MessageSent))]
//// History
[JsonSerializable(typeof(MessagePage))]
//// Sync
[JsonSerializable(typeof(Synchronize))]
[JsonSerializable(typeof(SyncConversation))]
[JsonSerializable(typeof(SyncDone))]
//// ReadReceipts
[JsonSerializable(typeof(MarkRead))]
[JsonSerializable(typeof(MarkDelivered))]
[JsonSerializable(typeof(ReadAck))]
[JsonSerializable(typeof(ReadUpdate))]
[JsonSerializable(typeof(DeliveredUpdate))]
[JsonSerializable(typeof(ReceiptForwarded))]
//// Blocking
[JsonSerializable(typeof(AddBlock))]
[JsonSerializable(typeof(RemoveBlock))]
[JsonSerializable(typeof(BlockAdded))]
[JsonSerializable(typeof(BlockRemoved))]
[JsonSerializable(typeof(BlockList))]
[JsonSerializable(typeof(BlocksChanged))]
//// Presence
[JsonSerializable(typeof(StatusBulk))]
[JsonSerializable(typeof(UserOnline))]
[JsonSerializable(typeof(UserOffline))]
[JsonSerializable(typeof(LastSeen))]
[JsonSerializable(typeof(PresenceChanged))]
[JsonSerializable(typeof(PresenceAnnounced))]
//// Typing
[JsonSerializable(typeof(StartTyping))]
[JsonSerializable(typeof(StopTyping))]
[JsonSerializable(typeof(TypingUpdate))]
//// Revocation
[JsonSerializable(typeof(UserRevoked))]
[JsonSerializable(typeof(Revocation))]
//// Health
[JsonSerializable(typeof(HealthAnswer))]
//// DevToken
[JsonSerializable(typeof(DevTokenRequest))]
[JsonSerializable(typeof(DevToken))]
//// WebClient
[JsonSerializable(typeof(ClientInfo))]
internal sealed partial class FeatureJson : JsonSerializerContext
{
    /// <summary>The context with the wire options.</summary>
    public static FeatureJson Wire { get; } = new(WireJson.CreateOptions());
}
