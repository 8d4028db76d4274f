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
/// What was said, page by page, by number. A page is one range scan of the index on conversation and number, whatever
/// the length of the history. What was acknowledged is in it at once, on every node.
/// </summary>
public sealed class HistorySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.MapModule<HistoryModule>();
}

/// <summary>The answer of <c>GET /chat/conversations/{id}/messages</c>.</summary>
/// <param name="Messages">Ascending by number.</param>
/// <param name="HasMore">Whether there is more in the direction that was asked for.</param>
public sealed record MessagePage(IReadOnlyList<Message> Messages, bool HasMore);

/// <summary>The REST side.</summary>
public sealed class HistoryModule : ICarterModule
{
    private const int DefaultPage = 50;
    private const int MaxPage = 200;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapGet("/chat/conversations/{id:guid}/messages", GetAsync).RequireAuthorization().WithTags("Messages")
            .Describe("listMessages", "What was said, page by page, ascending by number.", "With `before` the messages just before a number, with `after` those just after one, without either the latest. `hasMore` looks in the direction that was asked for.")
            .CostsByRows("limit")
            .Returns(StatusCodes.Status200OK, "A page.", new MessagePage([Example.Hello], HasMore: false))
            .Fails(ChatError.Invalid("limit", $"1 to {MaxPage}."), ChatError.Forbidden);

    private static async Task<IResult> GetAsync(
        [Description("The conversation.")] Guid id,
        HttpContext http,
        Conversations conversations,
        IDocumentStore store,
        [Description("Only messages before this number."), Range(1, long.MaxValue)] long? before,
        [Description("Only messages after this number. Not together with `before`."), Range(0, long.MaxValue)] long? after,
        [Description("Messages a page."), Range(1, MaxPage), DefaultValue(DefaultPage)] int? limit)
    {
        if (Fault(before, after, limit) is { } fault)
            return fault.ToProblem();
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

    private static ChatError? Fault(long? before, long? after, int? limit) => (before, after, limit) switch
    {
        (not null, not null, _) => ChatError.Invalid("after", "Either before or after."),
        ( < 1, _, _) => ChatError.Invalid("before", "A number from 1."),
        (_, < 0, _) => ChatError.Invalid("after", "A number from 0."),
        (_, _, < 1 or > MaxPage) => ChatError.Invalid("limit", $"1 to {MaxPage}."),
        _ => null,
    };
}
