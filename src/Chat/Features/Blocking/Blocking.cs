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
/// One person wants nothing more of another. Between the two neither can send or open a direct conversation, and
/// neither sees the other's presence, typing or receipts; history stays. A send is checked in its own transaction, so
/// a block is in force everywhere from its commit on. The blocked one is told nothing and can find out nothing:
/// blocking twice, or somebody unknown, gets the same answer.
/// </summary>
public sealed class BlockingSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        // Observers by function: those that hear of a block also ask for blocks.
        slice.Services.AddSingleton<BlockCache>().AddSingleton<Func<IEnumerable<IBlockObserver>>>(provider => provider.GetServices<IBlockObserver>);
        slice.HandleEvent<AddBlock, BlockingHandler>()
            .HandleEvent<RemoveBlock, BlockingHandler>()
            .HandleNodeEvent<BlocksChanged, BlockCache>()
            .MapModule<BlockingModule>();
    }
}

/// <summary>The event <c>block.add</c>: one of the two names the other person.</summary>
/// <param name="UserId">Their id.</param>
/// <param name="Username">Or their username.</param>
public sealed record AddBlock(Guid? UserId, string? Username) : IEvent<AddBlock>
{
    /// <inheritdoc/>
    public static string Name => "block.add";

    /// <inheritdoc/>
    public static JsonTypeInfo<AddBlock> Json => FeatureJson.Wire.AddBlock;
}

/// <summary>The event <c>block.remove</c>: one of the two names the other person.</summary>
/// <param name="UserId">Their id.</param>
/// <param name="Username">Or their username.</param>
public sealed record RemoveBlock(Guid? UserId, string? Username) : IEvent<RemoveBlock>
{
    /// <inheritdoc/>
    public static string Name => "block.remove";

    /// <inheritdoc/>
    public static JsonTypeInfo<RemoveBlock> Json => FeatureJson.Wire.RemoveBlock;
}

/// <summary>The event <c>block.added</c>: the answer, and to the blocker's other connections.</summary>
/// <param name="UserId">Who is blocked.</param>
/// <param name="Username">As the request named them.</param>
/// <param name="BlockedAt">Since when; blocking again does not change it.</param>
public sealed record BlockAdded(Guid UserId, string? Username, DateTimeOffset BlockedAt) : IEvent<BlockAdded>
{
    /// <inheritdoc/>
    public static string Name => "block.added";

    /// <inheritdoc/>
    public static JsonTypeInfo<BlockAdded> Json => FeatureJson.Wire.BlockAdded;
}

/// <summary>The event <c>block.removed</c>: the answer, and to the blocker's other connections.</summary>
/// <param name="UserId">Who is not blocked, any more or anyway.</param>
/// <param name="Username">As the request named them.</param>
public sealed record BlockRemoved(Guid UserId, string? Username) : IEvent<BlockRemoved>
{
    /// <inheritdoc/>
    public static string Name => "block.removed";

    /// <inheritdoc/>
    public static JsonTypeInfo<BlockRemoved> Json => FeatureJson.Wire.BlockRemoved;
}

/// <summary>The answer of <c>GET /chat/blocks</c>.</summary>
/// <param name="Blocks">Whom the caller has blocked, latest first.</param>
public sealed record BlockList(IReadOnlyList<BlockAdded> Blocks);

/// <summary>Node event: a block with the channel's user was added or removed.</summary>
/// <param name="Other">The other of the two.</param>
internal sealed record BlocksChanged(Guid Other) : IEvent<BlocksChanged>
{
    public static string Name => "blocks";

    public static JsonTypeInfo<BlocksChanged> Json => FeatureJson.Wire.BlocksChanged;
}

/// <summary>Both events, and what REST needs of them.</summary>
internal sealed class BlockingHandler(BlockCache blocks, UserDirectory directory, RedisBackplane backplane, IDocumentStore store, AuditLog audit, ServerMetrics metrics, Limits limits, TimeProvider time)
    : IHandler<AddBlock>, IHandler<RemoveBlock>
{
    public async ValueTask<ChatError?> HandleAsync(AddBlock received, EventContext context)
    {
        var (other, error) = await directory.ResolveAsync(received.UserId, received.Username);
        if (error is not null)
            return error;
        var (added, refused) = await AddAsync(context.UserId, other, received.Username, context.Connection);
        if (added is not null)
            context.Reply(added);
        return refused;
    }

    public async ValueTask<ChatError?> HandleAsync(RemoveBlock received, EventContext context)
    {
        var (other, error) = await directory.ResolveAsync(received.UserId, received.Username);
        if (error is not null)
            return error;
        context.Reply(await RemoveAsync(context.UserId, other, received.Username, context.Connection));
        return null;
    }

    public async Task<(BlockAdded? Added, ChatError? Refused)> AddAsync(Guid blocker, Guid blocked, string? username, Connection? from)
    {
        if (blocker == blocked)
            return (null, ChatError.Invalid("userId", "Nobody blocks themselves."));
        var id = Block.IdOf(blocker, blocked);
        await using var session = store.LightweightSession();
        var block = await session.LoadAsync<Block>(id);
        var isNew = block is null;
        if (block is null)
        {
            // Each block is looked up wherever its maker is seen, and the list is one answer.
            if (await session.Query<Block>().CountAsync(own => own.BlockerId == blocker) >= limits.MaxBlocks)
            {
                metrics.LimitHit(nameof(Limits.MaxBlocks));
                return (null, ChatError.Invalid("userId", $"Nobody blocks more than {limits.MaxBlocks} people."));
            }

            // Nobody moves a cursor between the look at it and the block's commit. In the order of their ids, so that two
            // who block each other do not wait for one another.
            await session.BeginTransactionAsync(CancellationToken.None);
            var conversation = ConversationHead.IdOfDirect(blocker, blocked);
            var members = await session.QueryAsync<Member>("where id = any(?) order by id for update", (Guid[])[Member.IdOf(conversation, blocker), Member.IdOf(conversation, blocked)]);

            // Two devices at once: the later one only moves the date by a moment.
            block = new Block
            {
                Id = id,
                BlockerId = blocker,
                BlockedId = blocked,
                BlockedAt = time.GetWireNow(),
                // Where the other one blocks already, both have seen nothing new of each other since then.
                Frozen = await session.LoadAsync<Block>(Block.IdOf(blocked, blocker)) is { } reverse ? reverse.Frozen : members,
            };
            session.Store(block);
            await session.SaveChangesAsync();
            audit.Blocked(blocker, blocked);
        }

        var added = new BlockAdded(blocked, username, block.BlockedAt);
        if (!isNew)
            return (added, null);
        await blocks.ChangedAsync(blocker, blocked);
        backplane.Send(blocker, Frame.Of(added), from);
        return (added, null);
    }

    public async Task<BlockRemoved> RemoveAsync(Guid blocker, Guid blocked, string? username, Connection? from)
    {
        var removed = new BlockRemoved(blocked, username);
        var id = Block.IdOf(blocker, blocked);
        await using var session = store.LightweightSession();
        // Where nothing changes nobody is told of it, and the audit log neither.
        if (await session.LoadAsync<Block>(id) is null)
            return removed;
        session.Delete<Block>(id);
        await session.SaveChangesAsync();
        audit.Unblocked(blocker, blocked);
        await blocks.ChangedAsync(blocker, blocked);
        backplane.Send(blocker, Frame.Of(removed), from);
        return removed;
    }
}

/// <summary>The REST side.</summary>
public sealed class BlockingModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var blocks = app.MapGroup("/chat/blocks").RequireAuthorization().WithTags("People");
        blocks.MapGet("", ListAsync)
            .Describe("listBlocks", "Whom the caller blocks, latest first.", "Nobody learns who blocks them.")
            .Returns(StatusCodes.Status200OK, "All of them.", new BlockList([new(Example.Bob, null, Example.At)]))
            .Fails();
        blocks.MapPut("{userId:guid}", AddAsync)
            .Describe("addBlock", "Blocks somebody.", "Until it ends neither can send the other a direct message, nor sees the other's presence, typing or receipts. In force from its commit on. Again is no error.")
            .Returns(StatusCodes.Status200OK, "The block.", new BlockAdded(Example.Bob, null, Example.At))
            .Fails(ChatError.Invalid("userId", "Nobody blocks themselves."));
        blocks.MapDelete("{userId:guid}", RemoveAsync)
            .Describe("removeBlock", "Ends a block.", "Nothing that was refused meanwhile turns up. Where there is none, nothing happens.")
            .Returns(StatusCodes.Status200OK, "There is no block any more.", new BlockRemoved(Example.Bob, null))
            .Fails(ChatError.Invalid("userId", "Not a user's id."));
    }

    private static async Task<IResult> ListAsync(HttpContext http, IDocumentStore store)
    {
        var caller = http.User.UserId();
        await using var session = store.QuerySession();
        var own = await session.Query<Block>().Where(block => block.BlockerId == caller).ToListAsync();
        return TypedResults.Ok(new BlockList(
            [.. own.OrderByDescending(block => block.BlockedAt).Select(block => new BlockAdded(block.BlockedId, null, block.BlockedAt))]));
    }

    private static async Task<IResult> AddAsync([Description("Whom.")] Guid userId, HttpContext http, UserDirectory directory, BlockingHandler handler)
    {
        if ((await directory.ResolveAsync(userId, null)).Error is { } error)
            return error.ToProblem();
        var (added, refused) = await handler.AddAsync(http.User.UserId(), userId, null, from: null);
        return refused is null ? TypedResults.Ok(added) : refused.ToProblem();
    }

    private static async Task<IResult> RemoveAsync([Description("Whom.")] Guid userId, HttpContext http, UserDirectory directory, BlockingHandler handler)
    {
        var (other, error) = await directory.ResolveAsync(userId, null);
        return error is null ? TypedResults.Ok(await handler.RemoveAsync(http.User.UserId(), other, null, from: null)) : error.ToProblem();
    }
}
