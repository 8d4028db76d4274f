using System.Collections.Concurrent;
using System.Text.Json.Serialization.Metadata;
using Chat.Backplane;
using Chat.Socket;

namespace Chat.Features;

/// <summary>
/// Shows that somebody is writing. Ends by itself six seconds after the last <c>typing.start</c>, and with the
/// connection; the others hear of it at most once in two seconds. Stores nothing; its frames are the first to be
/// dropped. Never between people with a block.
/// </summary>
public sealed class TypingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice
        .On<StartTyping, TypingHandler>()
        .On<StopTyping, TypingHandler>()
        .ObserveConnections<Typists>()
        .Runs<Typists>();
}

/// <summary>The event <c>typing.start</c>.</summary>
/// <param name="ConversationId">Where.</param>
public sealed record StartTyping(Guid? ConversationId) : IEvent<StartTyping>
{
    /// <inheritdoc/>
    public static string Name => "typing.start";

    /// <inheritdoc/>
    public static JsonTypeInfo<StartTyping> Json => ChatJson.Wire.StartTyping;
}

/// <summary>The event <c>typing.stop</c>.</summary>
/// <param name="ConversationId">Where.</param>
public sealed record StopTyping(Guid? ConversationId) : IEvent<StopTyping>
{
    /// <inheritdoc/>
    public static string Name => "typing.stop";

    /// <inheritdoc/>
    public static JsonTypeInfo<StopTyping> Json => ChatJson.Wire.StopTyping;
}

/// <summary>The event <c>typing.update</c>, to the other members.</summary>
/// <param name="ConversationId">Where.</param>
/// <param name="UserId">Who.</param>
/// <param name="Typing">Whether they are writing.</param>
public sealed record TypingUpdate(Guid ConversationId, Guid UserId, bool Typing) : IEvent<TypingUpdate>
{
    /// <inheritdoc/>
    public static string Name => "typing.update";

    /// <inheritdoc/>
    public static JsonTypeInfo<TypingUpdate> Json => ChatJson.Wire.TypingUpdate;
}

/// <summary>Both events.</summary>
internal sealed class TypingHandler(Conversations conversations, Typists typists) : IHandler<StartTyping>, IHandler<StopTyping>
{
    public ValueTask<ChatError?> HandleAsync(StartTyping received, EventContext context) => SetAsync(received.ConversationId, context, isTyping: true);

    public ValueTask<ChatError?> HandleAsync(StopTyping received, EventContext context) => SetAsync(received.ConversationId, context, isTyping: false);

    private async ValueTask<ChatError?> SetAsync(Guid? conversationId, EventContext context, bool isTyping)
    {
        if (conversationId is not { } id)
            return ChatError.Invalid("conversationId", "A conversation's id is needed.");
        if (await conversations.FindAsync(id, context.UserId) is not { } conversation)
            return ChatError.Forbidden;
        await typists.SetAsync(conversation, context.Connection, isTyping);
        return null;
    }
}

/// <summary>Who is writing on this node's connections: what was shown of it last, and when.</summary>
internal sealed class Typists(Blocks blocks, RedisBackplane backplane, TimeProvider time, ILogger<Typists> log) : LoopService(time, log), IConnectionObserver
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Lasts = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<(Guid UserId, Guid ConversationId), Typist> typists = new();

    /// <summary>Somebody starts, goes on or stops.</summary>
    public async ValueTask SetAsync(Conversation conversation, Connection connection, bool isTyping)
    {
        var key = (connection.User.Id, conversation.Id);
        if (!isTyping && !typists.ContainsKey(key))
            return;
        var typist = typists.GetOrAdd(key, _ => new Typist(conversation));
        typist.From = connection;
        typist.Until = isTyping ? Time.GetUtcNow() + Lasts : default;
        await ShowAsync(key, typist);
    }

    public ValueTask ClosedAsync(Connection connection)
    {
        foreach (var (_, typist) in typists)
        {
            if (typist.From == connection)
                typist.Until = default;
        }

        return ValueTask.CompletedTask;
    }

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("end of typing", ExpireAsync)];

    private async Task ExpireAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Tick, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            foreach (var (key, typist) in typists)
                await ShowAsync(key, typist);
        }
    }

    // Tells the others where what they were told last is no longer so, unless they were told just now.
    private async ValueTask ShowAsync((Guid UserId, Guid ConversationId) key, Typist typist)
    {
        var now = Time.GetUtcNow();
        var isTyping = typist.Until > now;
        if (isTyping == typist.IsShown || now < typist.ShownAt + Quiet)
        {
            // Kept until the pause is over, so that stopping and starting again cannot get around it.
            if (!isTyping && !typist.IsShown && now >= typist.ShownAt + Quiet)
                typists.TryRemove(KeyValuePair.Create(key, typist));
            return;
        }

        (typist.IsShown, typist.ShownAt) = (isTyping, now);
        var apart = await blocks.ApartFromAsync(key.UserId);
        var frame = Frame.Of(new TypingUpdate(key.ConversationId, key.UserId, isTyping), droppable: true);
        foreach (var other in typist.Conversation.Members)
        {
            if (other != key.UserId && !apart.Contains(other))
                backplane.Send(other, frame);
        }
    }

    private sealed class Typist(Conversation conversation)
    {
        public Conversation Conversation => conversation;

        public Connection? From { get; set; }

        public DateTimeOffset Until { get; set; }

        public bool IsShown { get; set; }

        public DateTimeOffset ShownAt { get; set; }
    }
}
