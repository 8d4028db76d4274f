using System.Text.Json.Serialization.Metadata;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Brings a client that was away up to date by numbers: it says how far it has come in each conversation, and gets
/// what lies past that, on any node, however late. What arrives live meanwhile is neither lost nor sent twice on this
/// connection, because <see cref="UserFeed"/> knows what was pushed to it. A client that missed nothing costs one query.
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
/// <param name="Conversations">For each conversation that the client knows, the last number it has seen.</param>
/// <param name="After">Asks only for conversations whose id comes after this one in alphabetical order: whoever knows too many for one frame asks in parts.</param>
/// <param name="Until">Asks only for conversations up to and including this id.</param>
public sealed record Synchronize(Dictionary<Guid, long>? Conversations, Guid? After, Guid? Until) : IEvent<Synchronize>
{
    /// <inheritdoc/>
    public static string Name => "sync";

    /// <inheritdoc/>
    public static JsonTypeInfo<Synchronize> Json => FeatureJson.Wire.Synchronize;
}

/// <summary>The event <c>sync.conversation</c>: one for each conversation in which something was missed, or that is new to the client.</summary>
/// <param name="Conversation">The conversation as it is now.</param>
/// <param name="Messages">What lies past the client's number, ascending by <c>changedSeq</c>; at most 200, and at most 256 KiB in the frame.</param>
/// <param name="HasMore">Ask again from the last <c>changedSeq</c> received.</param>
public sealed record SyncConversation(ConversationView Conversation, IReadOnlyList<Message> Messages, bool HasMore) : IEvent<SyncConversation>
{
    /// <inheritdoc/>
    public static string Name => "sync.conversation";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncConversation> Json => FeatureJson.Wire.SyncConversation;
}

/// <summary>The event <c>sync.done</c>: nothing else is coming for this sync.</summary>
/// <param name="Conversations">How many <c>sync.conversation</c> came before.</param>
public sealed record SyncDone(int Conversations) : IEvent<SyncDone>
{
    /// <inheritdoc/>
    public static string Name => "sync.done";

    /// <inheritdoc/>
    public static JsonTypeInfo<SyncDone> Json => FeatureJson.Wire.SyncDone;
}

/// <summary>
/// Finds what was missed and sends it, part by part, as fast as the client reads. A part is made when there is room for it, and is
/// all that its user has made at the time: so a sync costs a connection no more memory than one part, and a node no more than one
/// part a user, however many of their devices ask.
/// </summary>
internal sealed class SyncHandler(MissedChanges missed, ConversationViews views, Delivery delivery, WorkLimiter work) : IHandler<Synchronize>
{
    public async ValueTask<ChatError?> HandleAsync(Synchronize received, EventContext context)
    {
        if (received.Conversations is not { } seen)
            return ChatError.Invalid("conversations", "An object of conversation ids and numbers is needed; it may be empty.");
        if (seen.Values.Any(number => number < 0))
            return ChatError.Invalid("conversations", "Numbers count from 0, for nothing seen.");

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
            var answer = SyncAnswer.Of(view, messages[view.Id], part.First(one => one.Id == view.Id).Seq, context.UserId);
            delivery.FeedOf(context.UserId)?.ClaimForSync(
                context.Connection, view.Id, answer.Messages, answer.HasMore, (rest, more) => context.Connection.Send(answer.Frame(rest.Count, more, context.Id)));
        }
    }
}
