using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Chat.Admin;
using Chat.Backplane;
using Chat.Features;
using Chat.Socket;
using Chat.Storage;

namespace Chat;

/// <summary>
/// The server's table of contents: one line a feature, and below it one line for each thing that a feature puts on
/// the wire. A new feature is its own file and its lines here.
/// </summary>
internal static class Slices
{
    public static void AddAll(SliceBuilder slices) => slices
        .AddSlice<PingSlice>()
        .AddSlice<UserDirectorySlice>()
        .AddSlice<ConversationsSlice>()
        .AddSlice<UnreadSlice>()
        .AddSlice<DeliverySlice>()
        .AddSlice<SendMessageSlice>()
        .AddSlice<HistorySlice>()
        .AddSlice<SyncSlice>()
        .AddSlice<ReadReceiptsSlice>()
        .AddSlice<BlockingSlice>()
        .AddSlice<PresenceSlice>()
        .AddSlice<TypingSlice>()
        .AddSlice<RevocationSlice>()
        .AddSlice<WarmUpSlice>()
        .AddSlice<HealthSlice>()
        .AddSlice<DevTokenSlice>()
        .AddSlice<WebClientSlice>();
}

/// <summary>How everything is read and written as JSON. There can only be one such context, since its generator cannot be split.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.Strict,
    PropertyNameCaseInsensitive = false,
    AllowDuplicateProperties = false,
    MaxDepth = 32,
    Converters = [typeof(WireTime), typeof(WireNumber), typeof(WireId)])]
//// the socket itself
[JsonSerializable(typeof(ChatError))]
[JsonSerializable(typeof(Authenticate))]
[JsonSerializable(typeof(AuthSuccess))]
[JsonSerializable(typeof(AuthFailed))]
[JsonSerializable(typeof(ForwardedFrame))]
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
[JsonSerializable(typeof(Member))]
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
[JsonSerializable(typeof(Message))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(ConversationHead))]
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
[JsonSerializable(typeof(Block))]
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
//// the admin port
[JsonSerializable(typeof(ConnectionList))]
[JsonSerializable(typeof(DisconnectedConnections))]
[JsonSerializable(typeof(DrainView))]
[JsonSerializable(typeof(LogLevelsView))]
[JsonSerializable(typeof(FrameTrace))]
[JsonSerializable(typeof(TracesView))]
[JsonSerializable(typeof(BundleAbout))]
[JsonSerializable(typeof(BundleConnections))]
[JsonSerializable(typeof(BundleRuntime))]
internal sealed partial class ChatJson : JsonSerializerContext
{
    /// <summary>For frames, bodies and node events.</summary>
    public static ChatJson Wire => Contexts.Wire;

    /// <summary>For Marten: the wire's JSON, and reflection for Marten's own types.</summary>
    public static JsonSerializerOptions ForDocuments() => new(Default.Options)
    {
        Encoder = WireEncoder.Instance,
        TypeInfoResolver = JsonTypeInfoResolver.Combine(Wire, new DefaultJsonTypeInfoResolver()),
    };

    /// <summary>For REST answers.</summary>
    public static void ForRest(JsonSerializerOptions options)
    {
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.Encoder = WireEncoder.Instance;
        options.Converters.Add(new WireTime());
        options.Converters.Add(new WireNumber());
        options.Converters.Add(new WireId());
        options.TypeInfoResolverChain.Insert(0, Wire);
    }

    // A type of its own, because the initializers of a type split over files run in no order that one could rely on.
    private static class Contexts
    {
        public static readonly ChatJson Wire = new(new JsonSerializerOptions(Default.Options) { Encoder = WireEncoder.Instance });
    }
}
