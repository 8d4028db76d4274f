using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Carter;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using JasperFx;
using JasperFx.Events.Projections;
using Marten;
using Marten.Exceptions;
using Microsoft.Extensions.Caching.Memory;

namespace Chat.Features;

/// <summary>
/// Who talks with whom. A direct conversation of two people exists exactly once, whoever asks first and however many
/// ask at once: its id is made from both, and the primary key does the rest. What happens to a conversation is an
/// event stream with an inline snapshot; cursors and counters live in rows of their own, because they change often.
/// </summary>
public sealed class ConversationsSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<Conversations>().AddSingleton<ConversationViews>();
        slice.MapModule<ConversationsModule>().ConfigureMarten(options =>
        {
            options.Projections.Snapshot<Conversation>(SnapshotLifecycle.Inline);
            options.Column<Member>(nameof(Member.ReadUpTo));
            options.Schema.For<Member>().Duplicate(member => member.ConversationId).Duplicate(member => member.UserId);
        });
    }
}

/// <summary>The body of <c>POST /chat/conversations</c>: one of the two names the other person.</summary>
/// <param name="UserId">Their id.</param>
/// <param name="Username">Or their username.</param>
public sealed record OpenConversation(Guid? UserId, string? Username);

/// <summary>Two people, or more.</summary>
[JsonConverter(typeof(ConversationKindConverter))]
public enum ConversationKind
{
    /// <summary>Exactly two people, once for each pair.</summary>
    Direct,

    /// <summary>Any number of people.</summary>
    Group,
}

internal sealed class ConversationKindConverter() : JsonStringEnumConverter<ConversationKind>(System.Text.Json.JsonNamingPolicy.CamelCase);

/// <summary>Stream event: the conversation came to be.</summary>
/// <param name="Kind">Direct or group.</param>
/// <param name="Members">Its first members.</param>
/// <param name="At">When.</param>
public sealed record ConversationStarted(ConversationKind Kind, Guid[] Members, DateTimeOffset At);

/// <summary>The inline snapshot of a conversation's stream: what seldom changes, and every node may cache.</summary>
public sealed partial record Conversation
{
    /// <summary>The stream's id.</summary>
    public Guid Id { get; init; }

    /// <summary>Direct or group.</summary>
    public ConversationKind Kind { get; init; }

    /// <summary>Who belongs to it.</summary>
    public Guid[] Members { get; init; } = [];

    /// <summary>When it came to be.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>The state after the first event.</summary>
    public static Conversation Create(ConversationStarted started, JasperFx.Events.IEvent<ConversationStarted> envelope) =>
        new() { Id = envelope.StreamId, Kind = started.Kind, Members = started.Members, StartedAt = started.At };

    /// <summary>Whether the user belongs to it.</summary>
    public bool Has(Guid userId) => Array.IndexOf(Members, userId) >= 0;

    /// <summary>The ids that blocks between the two would have; in a group blocks have no say. Every send asks, so they are made once.</summary>
    [JsonIgnore]
    public Guid[] Blocks => field ??= Kind == ConversationKind.Direct
        ? [.. from one in Members from other in Members where one != other select Block.IdOf(one, other)]
        : [];
}

/// <summary>Opens conversations and finds them again, from a cache where possible: members are asked on every send.</summary>
internal sealed class Conversations(
    IDocumentStore store, TableNames tables, UserDirectory directory, BlockCache blocks, OpenConversationRateLimiter rates, ServerMetrics metrics, Limits limits, TimeProvider time) : IDisposable
{
    /// <summary>The answer to somebody who has as many conversations as they may open.</summary>
    public static readonly ChatError TooMany = ChatError.LimitReached("conversations", "You have as many conversations as you may open.");

    private readonly MemoryCache cache = new(new MemoryCacheOptions { SizeLimit = 1_000_000 });

    /// <summary>A conversation that the user is a member of; null if not, or if there is none.</summary>
    /// <remarks>
    /// The cache answers members alone. Anybody can work out the id of two people's direct conversation, and how long a refusal
    /// takes must not tell whether it exists: whoever is not a member is looked for among the members, a look that finds nothing
    /// in the same way whether or not the conversation is there, cached here or not.
    /// </remarks>
    public async ValueTask<Conversation?> FindAsync(Guid conversationId, Guid userId)
    {
        if (cache.TryGetValue(conversationId, out Conversation? cached) && cached!.Has(userId))
            return cached;
        await using var session = store.QuerySession();
        var found = (await session.QueryAsync<Conversation>(
            $"where id = (select m.conversation_id from {tables.Member} m where m.id = ?)", Member.IdOf(conversationId, userId))).SingleOrDefault();
        // What is not there is not remembered: it may be there in a moment.
        if (found is not null)
            cache.Set(conversationId, found, new MemoryCacheEntryOptions { Size = found.Members.Length });
        return found;
    }

    /// <summary>Opens the direct conversation of two people, or finds it.</summary>
    /// <returns>The conversation's id and whether it is new; or the error to answer with.</returns>
    public async Task<(Guid Id, bool IsNew, ChatError? Error)> OpenDirectAsync(Guid caller, Guid other)
    {
        if (caller == other)
            return (default, false, ChatError.Invalid("userId", "A conversation takes two people."));
        var id = ConversationHead.IdOfDirect(caller, other);
        if (await FindAsync(id, caller) is not null)
            return (id, false, null);

        if (await RefusalAsync(caller, other) is { } refusal)
            return (default, false, refusal);
        await using var session = store.LightweightSession();
        Start(session, id, new ConversationStarted(ConversationKind.Direct, [caller, other], time.GetWireNow()));
        try
        {
            await session.SaveChangesAsync();
            return (id, true, null);
        }
        catch (Exception failure) when (failure is ExistingStreamIdCollisionException or DocumentAlreadyExistsException)
        {
            // Somebody was faster, and theirs is the same conversation.
            return (id, false, null);
        }
    }

    // In this order: whoever asks for strangers, or for too much, is slowed down before anything is looked for.
    private async Task<ChatError?> RefusalAsync(Guid caller, Guid other)
    {
        if (rates.Take(caller) is var wait && wait > TimeSpan.Zero)
        {
            metrics.LimitHit(nameof(Limits.ConversationsPerMinute));
            return ChatError.RateLimited(wait);
        }

        if (!await directory.KnowsAsync(other) && await HasAsManyUnknownAsync(caller, limits.MaxUnknownContacts))
        {
            metrics.LimitHit(nameof(Limits.MaxUnknownContacts));
            return UserDirectory.NoSuchUser;
        }

        if (await blocks.IsBlockedAsync(caller, other))
            return ChatError.Blocked;
        if (!await HasAsManyAsync(caller, limits.MaxConversations))
            return null;
        metrics.LimitHit(nameof(Limits.MaxConversations));
        return TooMany;
    }

    private async Task<bool> HasAsManyAsync(Guid userId, int most)
    {
        await using var session = store.QuerySession();
        return (await session.QueryAsync<Member>("where user_id = ? offset ? limit 1", userId, most - 1)).Count > 0;
    }

    // An application knows its people before they come here; ids that it never gave out are a few at most.
    private async Task<bool> HasAsManyUnknownAsync(Guid userId, int most)
    {
        if (most == 0)
            return true;
        await using var session = store.QuerySession();
        return (await session.QueryAsync<int>(
            $"""
            select 1 from {tables.Member} own
            join {tables.Member} other on other.conversation_id = own.conversation_id and other.user_id <> own.user_id
            where own.user_id = ? and not exists (select from {tables.User} known where known.id = other.user_id)
            offset ? limit 1
            """,
            userId,
            most - 1)).Count > 0;
    }

    /// <summary>All that a new conversation is made of; stored with the session's next save.</summary>
    public static void Start(IDocumentSession session, Guid id, ConversationStarted started)
    {
        session.Events.StartStream<Conversation>(id, started);
        session.Insert(new ConversationHead { Id = id, Seq = 0, UpdatedAt = started.At });
        foreach (var user in started.Members)
            session.Insert(new Member { Id = Member.IdOf(id, user), ConversationId = id, UserId = user });
    }

    public void Dispose() => cache.Dispose();
}

/// <summary>The REST side.</summary>
public sealed class ConversationsModule : ICarterModule
{
    private const int DefaultPage = 50;
    private const int MaxPage = 200;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var conversations = app.MapGroup("/chat/conversations").RequireAuthorization().WithTags("Conversations");
        conversations.MapPost("", OpenAsync)
            .Describe("openConversation", "Opens or finds the direct conversation with somebody.", "It exists once, whoever of the two asks first, and however many ask at once. Names one person, by `userId` or by `username`. A few may be people who have never signed in.")
            .Accepts(new OpenConversation(null, "bob"))
            .Returns(StatusCodes.Status200OK, "It was there.", ConversationView.Example)
            .Returns(StatusCodes.Status201Created, "It is new; `Location` says where.", ConversationView.Example)
            .Fails(ChatError.Invalid("userId", "A conversation takes two people."), ChatError.Blocked, UserDirectory.NoSuchUser, Conversations.TooMany);
        conversations.MapGet("", ListAsync)
            .Describe("listConversations", "The caller's conversations, latest activity first.", "Page by page: `nextCursor` of one page is the `cursor` of the next; the last page has none.")
            .CostsByRows("limit")
            .Returns(StatusCodes.Status200OK, "A page.", new ConversationPage([ConversationView.Example], $"{new ConversationCursor(Example.At, Example.Conversation)}"))
            .Fails(ChatError.Invalid("limit", $"1 to {MaxPage}."));
        conversations.MapGet("{id:guid}", GetAsync)
            .Describe("getConversation", "One conversation, as the caller sees it.", "Behind a block the other one's cursors stand still.")
            .Returns(StatusCodes.Status200OK, "The conversation.", ConversationView.Example)
            .Fails(ChatError.Forbidden);
    }

    private static async Task<IResult> OpenAsync(
        Body<OpenConversation> body, HttpContext http, UserDirectory directory, Conversations conversations, ConversationViews views, PresenceViews presence)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        var (other, unknown) = await directory.ResolveAsync(body.Value!.UserId, body.Value.Username);
        if (unknown is not null)
            return unknown.ToProblem();
        var caller = http.User.UserId();
        var (id, isNew, refused) = await conversations.OpenDirectAsync(caller, other);
        if (refused is not null)
            return refused.ToProblem();
        var view = await views.OneAsync(id, caller);
        if (isNew)
        {
            // The two have become contacts: whoever is there already is told of the other.
            presence.Invalidate(caller, other);
            presence.Invalidate(other, caller);
        }

        return isNew ? TypedResults.Created($"{http.Request.PathBase}/chat/conversations/{id}", view) : TypedResults.Ok(view);
    }

    private static async Task<IResult> ListAsync(
        HttpContext http,
        ConversationViews views,
        [Description("Conversations a page."), Range(1, MaxPage), DefaultValue(DefaultPage)] int? limit,
        [Description("The `nextCursor` of the page before.")] string? cursor)
    {
        if (limit is < 1 or > MaxPage)
            return ChatError.Invalid("limit", $"1 to {MaxPage}.").ToProblem();
        if (!ConversationCursor.TryRead(cursor, out var after))
            return ChatError.Invalid("cursor", "Give the nextCursor of the page before.").ToProblem();
        return TypedResults.Ok(await views.PageAsync(http.User.UserId(), limit ?? DefaultPage, after));
    }

    private static async Task<IResult> GetAsync([Description("The conversation.")] Guid id, HttpContext http, Conversations conversations, ConversationViews views)
    {
        var caller = http.User.UserId();
        return await conversations.FindAsync(id, caller) is null
            ? ChatError.Forbidden.ToProblem()
            : TypedResults.Ok(await views.OneAsync(id, caller));
    }
}
