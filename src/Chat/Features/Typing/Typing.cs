using System.Text.Json.Serialization.Metadata;
using Chat.Slices;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// Shows that a user is typing. Expires six seconds after the last <c>typing.start</c>, and when the connection closes; the
/// other members are notified at most once in two seconds. Stores nothing; its frames are the first to be dropped. Never shown
/// to users with a block between them.
/// </summary>
public sealed class TypingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice
        .HandleEvent<StartTyping, TypingHandler>()
        .HandleEvent<StopTyping, TypingHandler>()
        .AddHostedService<TypingTracker>()
        .ObserveConnections<TypingTracker>()
        .Services.AddSingleton<IBlockObserver>(provider => provider.GetRequiredService<TypingTracker>());
}

/// <summary>The event <c>typing.start</c>.</summary>
/// <param name="ConversationId">The conversation.</param>
public sealed record StartTyping(Guid? ConversationId) : IEvent<StartTyping>
{
    /// <inheritdoc/>
    public static string Name => "typing.start";

    /// <inheritdoc/>
    public static JsonTypeInfo<StartTyping> Json => FeatureJson.Wire.StartTyping;
}

/// <summary>The event <c>typing.stop</c>.</summary>
/// <param name="ConversationId">The conversation.</param>
public sealed record StopTyping(Guid? ConversationId) : IEvent<StopTyping>
{
    /// <inheritdoc/>
    public static string Name => "typing.stop";

    /// <inheritdoc/>
    public static JsonTypeInfo<StopTyping> Json => FeatureJson.Wire.StopTyping;
}

/// <summary>The event <c>typing.update</c>, sent to the other members.</summary>
/// <param name="ConversationId">The conversation.</param>
/// <param name="UserId">The user.</param>
/// <param name="Typing">Whether they are typing.</param>
public sealed record TypingUpdate(Guid ConversationId, Guid UserId, bool Typing) : IEvent<TypingUpdate>
{
    /// <inheritdoc/>
    public static string Name => "typing.update";

    /// <inheritdoc/>
    public static JsonTypeInfo<TypingUpdate> Json => FeatureJson.Wire.TypingUpdate;
}

/// <summary>Handles both events.</summary>
internal sealed class TypingHandler(Conversations conversations, TypingTracker tracker) : IHandler<StartTyping>, IHandler<StopTyping>
{
    public ValueTask<ChatError?> HandleAsync(StartTyping received, EventContext context) =>
        SetAsync(received.ConversationId, context, isTyping: true);

    public ValueTask<ChatError?> HandleAsync(StopTyping received, EventContext context) =>
        SetAsync(received.ConversationId, context, isTyping: false);

    private async ValueTask<ChatError?> SetAsync(Guid? conversationId, EventContext context, bool isTyping)
    {
        if (conversationId is not { } id)
            return ChatError.NoConversationId;
        if (await conversations.FindAsync(id, context.UserId) is not { } conversation)
            return ChatError.Forbidden;
        await tracker.SetAsync(conversation, context.Connection, isTyping);
        return null;
    }
}
