using System.Text.Json.Serialization.Metadata;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Brings a reconnected client up to date: it sends its last sequence number of each conversation and receives what follows, on any
/// node, after any time. Changes that arrive live meanwhile are neither lost nor sent twice on this connection, because
/// <see cref="UserFeed"/> tracks what was pushed to it. A client that has missed nothing costs one query.
/// </summary>
public sealed class SyncSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<MissedChanges>();
        slice.HandleEvent<Synchronize, SyncHandler>(takesTurn: false);
    }
}

/// <summary>The event <c>sync</c>.</summary>
/// <param name="Conversations">The last sequence number seen, for each conversation that the client knows.</param>
/// <param name="After">Only conversations whose id sorts after this one: with too many conversations for one frame, a client syncs
/// in several ranges.</param>
/// <param name="Until">Only conversations up to and including this id.</param>
public sealed record Synchronize(Dictionary<Guid, long>? Conversations, Guid? After, Guid? Until) : IEvent<Synchronize>
{
    /// <inheritdoc/>
    public static string Name => "sync";

    /// <inheritdoc/>
    public static JsonTypeInfo<Synchronize> Json => FeatureJson.Wire.Synchronize;
}

/// <summary>The event <c>sync.conversation</c>: sent for each conversation with missed changes, or that is new to the client.</summary>
/// <param name="Conversation">The current state of the conversation.</param>
/// <param name="Messages">The changes after the client's number, ascending by <c>changedSeq</c>; at most 200, and at most 256 KiB
/// in the frame.</param>
/// <param name="HasMore">Whether to sync again from the last <c>changedSeq</c> received.</param>
public sealed record SyncConversation(ConversationView Conversation, IReadOnlyList<Message> Messages, bool HasMore)
    : IEvent<SyncConversation>
{
    /// <inheritdoc/>
    public static string Name => "sync.conversation";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncConversation> Json => FeatureJson.Wire.SyncConversation;
}

/// <summary>The event <c>sync.done</c>: the sync is complete.</summary>
/// <param name="Conversations">The number of <c>sync.conversation</c> events sent.</param>
public sealed record SyncDone(int Conversations) : IEvent<SyncDone>
{
    /// <inheritdoc/>
    public static string Name => "sync.done";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncDone> Json => FeatureJson.Wire.SyncDone;
}

/// <summary>
/// Finds missed changes and sends them in parts, as fast as the client reads. A part is built only when the send queue has capacity,
/// and one at a time for each user: a sync costs a connection the memory of one part, and a node that of one part per user,
/// however many of their devices sync.
/// </summary>
internal sealed class SyncHandler(MissedChanges missed, ConversationViews views, Delivery delivery, WorkLimiter work)
    : IHandler<Synchronize>
{
    public async ValueTask<ChatError?> HandleAsync(Synchronize received, EventContext context)
    {
        if (received.Conversations is not { } seen)
            return ChatError.Invalid("conversations", "An object of conversation ids and sequence numbers is required; it may be empty.");
        if (seen.Values.Any(number => number < 0))
            return ChatError.Invalid("conversations", "Sequence numbers must be 0 or greater.");

        IReadOnlyList<Missed> behind;
        using (var entry = await work.AcquireOrRefuseAsync(context.UserId, WorkLimiter.Exclusive))
        {
            if (entry.Refusal is not null)
                return entry.Refusal;
            behind = await missed.BehindAsync(context.UserId, seen, received.After, received.Until);
        }

        foreach (var part in missed.Parts(behind))
        {
            await context.Connection.WaitForCapacityAsync();
            if (context.Connection.IsClosing)
                return null;
            using var entry = await work.AcquireOrRefuseAsync(context.UserId, WorkLimiter.Exclusive);
            if (entry.Refusal is not null)
                return entry.Refusal;
            await SendAsync(part, context);
        }

        context.Reply(new SyncDone(behind.Count));
        return null;
    }

    private async Task SendAsync(IReadOnlyList<Missed> part, EventContext context)
    {
        var messages = await missed.LoadAsync(part);
        foreach (var view in await views.ManyAsync([.. part.Select(conversation => conversation.Id)], context.UserId))
        {
            var answer = SyncAnswer.Of(view, messages[view.Id], part.First(conversation => conversation.Id == view.Id).Seq, context.UserId);
            delivery.FeedOf(context.UserId)?.ClaimForSync(
                context.Connection, view.Id, answer.Messages, answer.HasMore,
                (rest, more) => context.Connection.Send(answer.Frame(rest.Count, more, context.Id)));
        }
    }
}
