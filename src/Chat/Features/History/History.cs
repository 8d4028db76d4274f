using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Marten;

namespace Chat.Features;

/// <summary>
/// Returns the history of a conversation in pages, by sequence number. A page is one range scan of the index on conversation and
/// number, whatever the length of the history. An acknowledged message is visible at once, on every node.
/// </summary>
public sealed class HistorySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.MapModule<HistoryModule>();
}

/// <summary>The response of <c>GET /chat/conversations/{id}/messages</c>.</summary>
/// <param name="Messages">Ascending by sequence number.</param>
/// <param name="HasMore">Whether more messages exist in the requested direction.</param>
public sealed record MessagePage(IReadOnlyList<Message> Messages, bool HasMore);

/// <summary>The REST endpoints.</summary>
public sealed class HistoryModule : ICarterModule
{
    private const int DefaultPage = 50;
    private const int MaxPage = 200;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapGet("/chat/conversations/{id:guid}/messages", GetAsync).RequireAuthorization().WithTags("Messages")
            .Describe(
                "listMessages", "Returns a page of the history, ascending by sequence number.",
                "With `before`, the messages just before a number; with `after`, those just after it; with neither, the latest. `hasMore` refers to the requested direction.")
            .CostsByRows("limit")
            .Returns(StatusCodes.Status200OK, "A page of messages.", new MessagePage([Example.Hello], HasMore: false))
            .Fails(ChatError.Invalid("limit", $"1 to {MaxPage}."), ChatError.Forbidden);

    private static async Task<IResult> GetAsync(
        [Description("The conversation.")] Guid id,
        HttpContext http,
        Conversations conversations,
        IDocumentStore store,
        [Description("Only messages before this sequence number."), Range(1, long.MaxValue)] long? before,
        [Description("Only messages after this sequence number. Cannot be combined with `before`."), Range(0, long.MaxValue)] long? after,
        [Description("Maximum number of messages in a page."), Range(1, MaxPage), DefaultValue(DefaultPage)] int? limit)
    {
        if (Validate(before, after, limit) is { } error)
            return error.ToProblem();
        var caller = http.User.UserId();
        if (await conversations.FindAsync(id, caller) is null)
            return ChatError.Forbidden.ToProblem();

        var size = limit ?? DefaultPage;
        var until = before ?? long.MaxValue;
        await using var session = store.QuerySession();
        var all = session.Query<Message>().Where(message => message.ConversationId == id);
        var page = after is { } last
            ? await all.Where(message => message.Seq > last).OrderBy(message => message.Seq).Take(size + 1).ToListAsync()
            : await all.Where(message => message.Seq < until).OrderByDescending(message => message.Seq).Take(size + 1).ToListAsync();
        return TypedResults.Ok(new MessagePage(
            [.. page.Take(size).OrderBy(message => message.Seq).Select(message => message.For(caller))],
            page.Count > size));
    }

    private static ChatError? Validate(long? before, long? after, int? limit) => (before, after, limit) switch
    {
        (not null, not null, _) => ChatError.Invalid("after", "Use either before or after."),
        ( < 1, _, _) => ChatError.Invalid("before", "Must be 1 or greater."),
        (_, < 0, _) => ChatError.Invalid("after", "Must be 0 or greater."),
        (_, _, < 1 or > MaxPage) => ChatError.Invalid("limit", $"1 to {MaxPage}."),
        _ => null,
    };
}
