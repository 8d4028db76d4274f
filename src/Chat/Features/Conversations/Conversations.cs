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
/// Manages conversations and their members. The direct conversation of two users exists exactly once, however many requests
/// race to open it: its id is derived from both user ids, and the primary key rejects duplicates. Changes to a conversation
/// are an event stream with an inline snapshot; cursors and counters change often and live in rows of their own.
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

/// <summary>The body of <c>POST /chat/conversations</c>; exactly one of the two fields names the other user.</summary>
/// <param name="UserId">The user id.</param>
/// <param name="Username">The username.</param>
public sealed record OpenConversation(Guid? UserId, string? Username);

/// <summary>The kind of a conversation.</summary>
[JsonConverter(typeof(ConversationKindConverter))]
public enum ConversationKind
{
    /// <summary>Exactly two users; unique for each pair.</summary>
    Direct,

    /// <summary>Any number of users.</summary>
    Group,
}

internal sealed class ConversationKindConverter() : JsonStringEnumConverter<ConversationKind>(System.Text.Json.JsonNamingPolicy.CamelCase);

/// <summary>Stream event: the conversation was created.</summary>
/// <param name="Kind">Direct or group.</param>
/// <param name="Members">The initial members.</param>
/// <param name="At">When it was created.</param>
public sealed record ConversationStarted(ConversationKind Kind, Guid[] Members, DateTimeOffset At);

/// <summary>The inline snapshot of a conversation's stream: rarely changing state that every node may cache.</summary>
public sealed partial record Conversation
{
    /// <summary>The stream id.</summary>
    public Guid Id { get; init; }

    /// <summary>Direct or group.</summary>
    public ConversationKind Kind { get; init; }

    /// <summary>The ids of the members.</summary>
    public Guid[] Members { get; init; } = [];

    /// <summary>When it was created.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>Creates the state from the first event.</summary>
    public static Conversation Create(ConversationStarted started, JasperFx.Events.IEvent<ConversationStarted> envelope) =>
        new() { Id = envelope.StreamId, Kind = started.Kind, Members = started.Members, StartedAt = started.At };

    /// <summary>Returns whether the user is a member.</summary>
    public bool Has(Guid userId) => Array.IndexOf(Members, userId) >= 0;

    /// <summary>
    /// The ids of all possible blocks between the two members; empty for a group, where blocks do not apply. Computed once,
    /// because every send needs them.
    /// </summary>
    [JsonIgnore]
    public Guid[] Blocks => field ??= Kind == ConversationKind.Direct
    ? [.. from blocker in Members from blocked in Members where blocker != blocked select Block.IdOf(blocker, blocked)]
        : [];
}

/// <summary>The conversation that a request has opened or found.</summary>
internal readonly record struct OpenedConversation(Guid Id, bool IsNew);

/// <summary>Opens and finds conversations. Caches them, because every send needs the members.</summary>
internal sealed class Conversations(
    IDocumentStore store, TableNames tables, Journal journal, UserDirectory directory, BlockCache blocks, OpenConversationRateLimiter rates,
    ServerMetrics metrics, Limits limits, TimeProvider time) : IDisposable
{
    /// <summary>The error for a user who has reached <see cref="Limits.MaxConversations"/>.</summary>
    public static readonly ChatError TooMany =
        ChatError.LimitReached("conversations", "You have reached the maximum number of conversations.");

    private readonly MemoryCache cache = new(new MemoryCacheOptions { SizeLimit = 1_000_000 });

    /// <summary>Returns a conversation that the user is a member of; null if it does not exist or the user is not a member.</summary>
    /// <remarks>
    /// The cache answers only for members. The id of a direct conversation can be computed by anyone, and the latency of a
    /// rejection must not reveal whether it exists: for a non-member the query always goes to the member table, and finds
    /// nothing in the same way whether or not the conversation exists or is cached.
    /// </remarks>
    public async ValueTask<Conversation?> FindAsync(Guid conversationId, Guid userId)
    {
        if (cache.TryGetValue(conversationId, out Conversation? cached) && cached!.Has(userId))
            return cached;
        await using var session = store.QuerySession();
        var found = (await session.QueryAsync<Conversation>(
            $"where id = (select m.conversation_id from {tables.Member} m where m.id = ?)",
            Member.IdOf(conversationId, userId))).SingleOrDefault();
        // A miss is not cached: the conversation may be created at any moment.
        if (found is not null)
            cache.Set(conversationId, found, new MemoryCacheEntryOptions { Size = found.Members.Length });
        return found;
    }

    /// <summary>Opens the direct conversation of two users, or finds the existing one.</summary>
    public async Task<Result<OpenedConversation>> OpenDirectAsync(Guid caller, Guid other)
    {
        if (caller == other)
            return ChatError.Invalid("userId", "You cannot open a conversation with yourself.");
        var id = ConversationHead.IdOfDirect(caller, other);
        if (await FindAsync(id, caller) is not null)
            return new OpenedConversation(id, IsNew: false);

        if (await RefusalAsync(caller, other) is { } refusal)
            return refusal;
        await using var session = store.LightweightSession();
        Start(session, id, new ConversationStarted(ConversationKind.Direct, [caller, other], time.GetWireNow()));
        journal.Record(session, id, caller, other);
        try
        {
            await session.SaveChangesAsync();
            return new OpenedConversation(id, IsNew: true);
        }
        catch (Exception failure) when (failure is ExistingStreamIdCollisionException or DocumentAlreadyExistsException)
        {
            // Lost a race: the winner created the same conversation.
            return new OpenedConversation(id, IsNew: false);
        }
    }

    // The rate limit comes first, so that probing for unknown users is throttled before any lookup.
    private async Task<ChatError?> RefusalAsync(Guid caller, Guid other)
    {
        if (rates.Take(caller) is var retryAfter && retryAfter > TimeSpan.Zero)
        {
            metrics.LimitHit(nameof(Limits.ConversationsPerMinute));
            return ChatError.RateLimited(retryAfter);
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

    private async Task<bool> HasAsManyAsync(Guid userId, int limit)
    {
        await using var session = store.QuerySession();
        return (await session.QueryAsync<Member>("where user_id = ? offset ? limit 1", userId, limit - 1)).Count > 0;
    }

    // Applications may open conversations with users who have not signed in yet; the limit keeps invented ids from filling the tables.
    private async Task<bool> HasAsManyUnknownAsync(Guid userId, int limit)
    {
        if (limit == 0)
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
    limit - 1)).Count > 0;
    }

    /// <summary>Adds all rows of a new conversation to the session; stored with its next save.</summary>
    public static void Start(IDocumentSession session, Guid id, ConversationStarted started)
    {
        session.Events.StartStream<Conversation>(id, started);
        session.Insert(new ConversationHead { Id = id, Seq = 0, UpdatedAt = started.At });
        foreach (var user in started.Members)
            session.Insert(new Member { Id = Member.IdOf(id, user), ConversationId = id, UserId = user });
    }

    public void Dispose() => cache.Dispose();
}

/// <summary>The REST endpoints.</summary>
public sealed class ConversationsModule : ICarterModule
{
    private const int DefaultPage = 50;
    private const int MaxPage = 200;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var conversations = app.MapGroup("/chat/conversations").RequireAuthorization().WithTags("Conversations");
        conversations.MapPost("", OpenAsync)
            .Describe(
                "openConversation", "Opens or finds the direct conversation with a user.",
                "It exists once for each pair of users, however many requests race to open it. Name the user by `userId` or `username`. A limited number may be users who have never signed in.")
            .Accepts(new OpenConversation(null, "bob"))
            .Returns(StatusCodes.Status200OK, "The conversation already existed.", ConversationView.Example)
            .Returns(StatusCodes.Status201Created, "The conversation was created; `Location` is its address.", ConversationView.Example)
            .Fails(ChatError.Invalid("userId", "You cannot open a conversation with yourself."), ChatError.Blocked,
                UserDirectory.NoSuchUser, Conversations.TooMany);
        conversations.MapGet("", ListAsync)
            .Describe("listConversations", "Lists the caller's conversations, latest activity first.",
                "Paged: pass the `nextCursor` of a page as the `cursor` of the next; the last page has none.")
            .CostsByRows("limit")
            .Returns(StatusCodes.Status200OK, "A page of conversations.",
                new ConversationPage([ConversationView.Example], $"{new ConversationCursor(Example.At, Example.Conversation)}"))
            .Fails(ChatError.Invalid("limit", $"1 to {MaxPage}."));
        conversations.MapGet("{id:guid}", GetAsync)
            .Describe("getConversation", "Returns a conversation as seen by the caller.",
                "While a block exists, the other user's cursors are frozen.")
            .Returns(StatusCodes.Status200OK, "The conversation.", ConversationView.Example)
            .Fails(ChatError.Forbidden);
    }

    private static async Task<IResult> OpenAsync(
        Body<OpenConversation> body, HttpContext http, UserDirectory directory, Conversations conversations, ConversationViews views,
        PresenceViews presence)
    {
        if (!body.Content.Succeeded(out var request, out var error)
            || !(await directory.ResolveAsync(request.UserId, request.Username)).Succeeded(out var other, out error))
            return error.ToProblem();
        var caller = http.User.UserId();
        if (!(await conversations.OpenDirectAsync(caller, other)).Succeeded(out var opened, out error))
            return error.ToProblem();
        var view = await views.OneAsync(opened.Id, caller);
        if (opened.IsNew)
        {
            // The two have become contacts: connections that are already open need each other's presence.
            presence.Invalidate(caller, other);
            presence.Invalidate(other, caller);
        }

        return opened.IsNew ? TypedResults.Created($"{http.Request.PathBase}/chat/conversations/{opened.Id}", view) : TypedResults.Ok(view);
    }

    private static async Task<IResult> ListAsync(
        HttpContext http,
        ConversationViews views,
        [Description("Maximum number of conversations in a page."), Range(1, MaxPage), DefaultValue(DefaultPage)] int? limit,
        [Description("The `nextCursor` of the previous page.")] string? cursor)
    {
        if (limit is < 1 or > MaxPage)
            return ChatError.Invalid("limit", $"1 to {MaxPage}.").ToProblem();
        if (!ConversationCursor.TryRead(cursor, out var after))
            return ChatError.Invalid("cursor", "Use the nextCursor of the previous page.").ToProblem();
        return TypedResults.Ok(await views.PageAsync(http.User.UserId(), limit ?? DefaultPage, after));
    }

    private static async Task<IResult> GetAsync(
        [Description("The conversation.")] Guid id, HttpContext http, Conversations conversations, ConversationViews views)
    {
        var caller = http.User.UserId();
        return await conversations.FindAsync(id, caller) is null
            ? ChatError.Forbidden.ToProblem()
            : TypedResults.Ok(await views.OneAsync(id, caller));
    }
}
