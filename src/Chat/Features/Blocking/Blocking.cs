using System.ComponentModel;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Backplane;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Marten;

namespace Chat.Features;

/// <summary>
/// Lets a user block another. Neither of the two can send to the other or open a direct conversation, and neither sees the
/// other's presence, typing or receipts; history remains. The sending transaction checks for a block itself, so a block
/// is effective on all nodes from its commit. The blocked user is not notified and cannot detect it: blocking is
/// idempotent, and blocking an unknown user gets the same answer.
/// </summary>
public sealed class BlockingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        // Resolved lazily: observers depend on BlockCache themselves.
        slice.Services.AddSingleton<BlockCache>()
            .AddSingleton<Func<IEnumerable<IBlockObserver>>>(provider => provider.GetServices<IBlockObserver>);
        slice.HandleEvent<AddBlock, BlockingHandler>()
            .HandleEvent<RemoveBlock, BlockingHandler>()
            .HandleNodeEvent<BlocksChanged, BlockCache>()
            .MapModule<BlockingModule>();
    }
}

/// <summary>The event <c>block.add</c>; exactly one of the two fields names the other user.</summary>
/// <param name="UserId">The user to block.</param>
/// <param name="Username">The username of the user to block.</param>
public sealed record AddBlock(Guid? UserId, string? Username) : IEvent<AddBlock>
{
    /// <inheritdoc/>
    public static string Name => "block.add";

    /// <inheritdoc/>
    public static JsonTypeInfo<AddBlock> Json => FeatureJson.Wire.AddBlock;
}

/// <summary>The event <c>block.remove</c>; exactly one of the two fields names the other user.</summary>
/// <param name="UserId">The user to unblock.</param>
/// <param name="Username">The username of the user to unblock.</param>
public sealed record RemoveBlock(Guid? UserId, string? Username) : IEvent<RemoveBlock>
{
    /// <inheritdoc/>
    public static string Name => "block.remove";

    /// <inheritdoc/>
    public static JsonTypeInfo<RemoveBlock> Json => FeatureJson.Wire.RemoveBlock;
}

/// <summary>The event <c>block.added</c>: the reply, also sent to the blocker's other connections.</summary>
/// <param name="UserId">The blocked user.</param>
/// <param name="Username">The username given in the request, if any.</param>
/// <param name="BlockedAt">When the block was created; blocking again does not change it.</param>
public sealed record BlockAdded(Guid UserId, string? Username, DateTimeOffset BlockedAt) : IEvent<BlockAdded>
{
    /// <inheritdoc/>
    public static string Name => "block.added";

    /// <inheritdoc/>
    public static JsonTypeInfo<BlockAdded> Json => FeatureJson.Wire.BlockAdded;
}

/// <summary>The event <c>block.removed</c>: the reply, also sent to the blocker's other connections.</summary>
/// <param name="UserId">The user who is no longer blocked, or never was.</param>
/// <param name="Username">The username given in the request, if any.</param>
public sealed record BlockRemoved(Guid UserId, string? Username) : IEvent<BlockRemoved>
{
    /// <inheritdoc/>
    public static string Name => "block.removed";

    /// <inheritdoc/>
    public static JsonTypeInfo<BlockRemoved> Json => FeatureJson.Wire.BlockRemoved;
}

/// <summary>The response of <c>GET /chat/blocks</c>.</summary>
/// <param name="Blocks">The users that the caller blocks, newest first.</param>
public sealed record BlockList(IReadOnlyList<BlockAdded> Blocks);

/// <summary>Node event: a block that involves the channel's user was added or removed.</summary>
/// <param name="Other">The other user of the block.</param>
internal sealed record BlocksChanged(Guid Other) : IEvent<BlocksChanged>
{
    public static string Name => "blocks";

    public static JsonTypeInfo<BlocksChanged> Json => FeatureJson.Wire.BlocksChanged;
}

/// <summary>Handles both events; also serves the REST endpoints.</summary>
internal sealed class BlockingHandler(BlockCache blocks, UserDirectory directory, RedisBackplane backplane, IDocumentStore store,
    Journal journal, AuditLog audit, ServerMetrics metrics, Limits limits, TimeProvider time)
    : IHandler<AddBlock>, IHandler<RemoveBlock>
{
    public async ValueTask<ChatError?> HandleAsync(AddBlock received, EventContext context)
    {
        if (!(await directory.ResolveAsync(received.UserId, received.Username)).Succeeded(out var other, out var error)
            || !(await AddAsync(context.UserId, other, received.Username, context.Connection)).Succeeded(out var added, out error))
            return error;
        context.Reply(added);
        return null;
    }

    public async ValueTask<ChatError?> HandleAsync(RemoveBlock received, EventContext context)
    {
        if (!(await directory.ResolveAsync(received.UserId, received.Username)).Succeeded(out var other, out var error))
            return error;
        context.Reply(await RemoveAsync(context.UserId, other, received.Username, context.Connection));
        return null;
    }

    public async Task<Result<BlockAdded>> AddAsync(Guid blocker, Guid blocked, string? username, Connection? from)
    {
        if (blocker == blocked)
            return ChatError.Invalid("userId", "You cannot block yourself.");
        var id = Block.IdOf(blocker, blocked);
        await using var session = store.LightweightSession();
        var block = await session.LoadAsync<Block>(id);
        var isNew = block is null;
        if (block is null)
        {
            // Bounded: every presence and receipt lookup of the blocker reads all of them, and the list is not paged.
            if (await session.Query<Block>().CountAsync(existing => existing.BlockerId == blocker) >= limits.MaxBlocks)
            {
                metrics.LimitHit(nameof(Limits.MaxBlocks));
                return ChatError.Invalid("userId", $"You can block at most {limits.MaxBlocks} users.");
            }

            // The row locks keep both cursors from moving between this read and the commit of the block. They are taken in
            // the order of the ids, so that two users who block each other do not deadlock.
            await session.BeginTransactionAsync(CancellationToken.None);
            var conversation = ConversationHead.IdOfDirect(blocker, blocked);
            var members = await session.QueryAsync<Member>("where id = any(?) order by id for update",
                (Guid[])[Member.IdOf(conversation, blocker), Member.IdOf(conversation, blocked)]);

            // Two devices may do this at once: the later write only changes the timestamp slightly.
            block = new Block
            {
                Id = id,
                BlockerId = blocker,
                BlockedId = blocked,
                BlockedAt = time.GetWireNow(),
                // With a block in the other direction, the cursors have been frozen since then.
                Frozen = await session.LoadAsync<Block>(Block.IdOf(blocked, blocker)) is { } reverse ? reverse.Frozen : members,
            };
            session.Store(block);
            journal.Record(session, conversation, blocker, blocked);
            await session.SaveChangesAsync();
            audit.Blocked(blocker, blocked);
        }

        var added = new BlockAdded(blocked, username, block.BlockedAt);
        if (!isNew)
            return added;
        await blocks.ChangedAsync(blocker, blocked);
        backplane.Send(blocker, Frame.Of(added), from);
        return added;
    }

    public async Task<BlockRemoved> RemoveAsync(Guid blocker, Guid blocked, string? username, Connection? from)
    {
        var removed = new BlockRemoved(blocked, username);
        var id = Block.IdOf(blocker, blocked);
        await using var session = store.LightweightSession();
        // Removing a missing block is a no-op: no event and no audit entry.
        if (await session.LoadAsync<Block>(id) is null)
            return removed;
        session.Delete<Block>(id);
        journal.Record(session, ConversationHead.IdOfDirect(blocker, blocked), blocker, blocked);
        await session.SaveChangesAsync();
        audit.Unblocked(blocker, blocked);
        await blocks.ChangedAsync(blocker, blocked);
        backplane.Send(blocker, Frame.Of(removed), from);
        return removed;
    }
}

/// <summary>The REST endpoints.</summary>
public sealed class BlockingModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var blocks = app.MapGroup("/chat/blocks").RequireAuthorization().WithTags("People");
        blocks.MapGet("", ListAsync)
            .Describe("listBlocks", "Lists the users that the caller blocks, newest first.", "Users cannot find out who blocks them.")
            .Returns(StatusCodes.Status200OK, "All blocks of the caller.", new BlockList([new(Example.Bob, null, Example.At)]))
            .Fails();
        blocks.MapPut("{userId:guid}", AddAsync)
            .Describe(
                "addBlock", "Blocks a user.",
                "While the block exists, neither user can send the other direct messages or sees the other's presence, typing or receipts. Effective from its commit. Idempotent.")
            .Returns(StatusCodes.Status200OK, "The block.", new BlockAdded(Example.Bob, null, Example.At))
            .Fails(ChatError.Invalid("userId", "You cannot block yourself."));
        blocks.MapDelete("{userId:guid}", RemoveAsync)
            .Describe("removeBlock", "Removes a block.",
                "Messages rejected in the meantime are not delivered. Idempotent: removing a missing block succeeds.")
            .Returns(StatusCodes.Status200OK, "The block does not exist any more.", new BlockRemoved(Example.Bob, null))
            .Fails(ChatError.Invalid("userId", "Not a user id."));
    }

    private static async Task<IResult> ListAsync(HttpContext http, IDocumentStore store)
    {
        var caller = http.User.UserId();
        await using var session = store.QuerySession();
        var mine = await session.Query<Block>().Where(block => block.BlockerId == caller).ToListAsync();
        return TypedResults.Ok(new BlockList(
    [.. mine.OrderByDescending(block => block.BlockedAt).Select(block => new BlockAdded(block.BlockedId, null, block.BlockedAt))]));
    }

    private static async Task<IResult> AddAsync(
        [Description("The user to block.")] Guid userId, HttpContext http, UserDirectory directory, BlockingHandler handler)
    {
        if (!(await directory.ResolveAsync(userId, null)).Succeeded(out var other, out var error)
            || !(await handler.AddAsync(http.User.UserId(), other, null, from: null)).Succeeded(out var added, out error))
            return error.ToProblem();
        return TypedResults.Ok(added);
    }

    private static async Task<IResult> RemoveAsync(
        [Description("The user to unblock.")] Guid userId, HttpContext http, UserDirectory directory, BlockingHandler handler)
    {
        return (await directory.ResolveAsync(userId, null)).Succeeded(out var other, out var error)
            ? TypedResults.Ok(await handler.RemoveAsync(http.User.UserId(), other, null, from: null))
            : error.ToProblem();
    }
}
