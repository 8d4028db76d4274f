using System.Collections.Concurrent;
using System.ComponentModel;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Backplane;
using Chat.Rest;
using Chat.Socket;
using Chat.Tokens;
using Marten;

namespace Chat.Features;

/// <summary>
/// Cuts a removed or disabled user off: whatever token of theirs was issued until now is worth nothing any more, and
/// their connections are closed with 4501, at once where Redis works and within five seconds where it does not. A
/// token issued later is good again: whether to issue one is the application's decision.
/// </summary>
public sealed class RevocationSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Runs<Revocations>()
            .OnNode<UserRevoked, Revocations>()
            .Rest<RevocationModule>()
            .Documents(options => options.Schema.For<Revocation>().Duplicate(revocation => revocation.At));
        slice.Services.AddSingleton<ITokenRevocations>(provider => provider.GetRequiredService<Revocations>());
    }
}

/// <summary>The tokens of a user that were issued until a moment are worth nothing.</summary>
public sealed record Revocation
{
    /// <summary>The user's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>The moment.</summary>
    public required DateTimeOffset At { get; init; }
}

/// <summary>Node event: the channel's user was revoked.</summary>
/// <param name="At">See <see cref="Revocation.At"/>.</param>
internal sealed record UserRevoked(DateTimeOffset At) : IEvent<UserRevoked>
{
    public static string Name => "revoked";

    public static JsonTypeInfo<UserRevoked> Json => ChatJson.Wire.UserRevoked;
}

/// <summary>
/// All revocations, in memory, because every token is checked against them: at the start from the database, then over
/// the backplane, and from the database again every two seconds, for what the backplane has lost.
/// </summary>
internal sealed class Revocations(IDocumentStore store, Hub hub, RedisBackplane backplane, TimeProvider time, ILogger<Revocations> log)
    : LoopService(time, log), ITokenRevocations, INodeHandler<UserRevoked>
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(2);

    // Nodes' clocks differ, and a commit takes its time: so much of the past is read again.
    private static readonly TimeSpan Overlap = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<Guid, DateTimeOffset> revoked = new();

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("check of revocations", CheckAsync)];

    /// <inheritdoc/>
    public bool IsRevoked(Guid userId, DateTimeOffset issuedAt) => revoked.TryGetValue(userId, out var at) && issuedAt <= at;

    /// <summary>Revokes a user's tokens, on every node.</summary>
    public async Task RevokeAsync(Guid userId)
    {
        var at = Time.GetWireNow();
        await using var session = store.LightweightSession();
        session.Store(new Revocation { Id = userId, At = at });
        await session.SaveChangesAsync();
        Take(userId, at);
        backplane.Publish(userId, new UserRevoked(at));
    }

    public void Handle(Guid userId, UserRevoked received) => Take(userId, received.At);

    private async Task CheckAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Every, Time);
        var since = DateTimeOffset.MinValue;
        do
        {
            await using var session = store.QuerySession();
            var news = await session.Query<Revocation>().Where(revocation => revocation.At > since).ToListAsync(stopping);
            foreach (var revocation in news)
                Take(revocation.Id, revocation.At);
            since = news.Select(revocation => revocation.At - Overlap).Append(since).Max();
        }
        while (await timer.WaitForNextTickAsync(stopping));
    }

    private void Take(Guid userId, DateTimeOffset at)
    {
        revoked.AddOrUpdate(userId, at, (_, known) => known > at ? known : at);
        foreach (var connection in hub.ConnectionsOf(userId))
        {
            if (connection.Token is { } token && IsRevoked(userId, token.IssuedAt))
                connection.Close(Disconnect.NotAuthorised);
        }
    }
}

/// <summary>The REST side, for tokens whose <c>scope</c> has <c>chat.admin</c>.</summary>
public sealed class RevocationModule : ICarterModule
{
    private const string AdminScope = "chat.admin";

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) =>
        app.MapPost("/admin/users/{id:guid}/revoke", RevokeAsync).RequireAuthorization(policy => policy.RequireAssertion(
            caller => caller.User.FindAll("scope").Any(claim => claim.Value.Split(' ').Contains(AdminScope)))).WithTags("Administration")
            .Named("revokeUser", "Makes all tokens void that were issued to a user until now.", "Their connections are closed with 4501, at most 5 seconds later. For tokens whose `scope` has `chat.admin`.")
            .Answers(StatusCodes.Status204NoContent, "They are void.")
            .Refuses();

    private static async Task<IResult> RevokeAsync([Description("The user.")] Guid id, HttpContext http, Revocations revocations, Audit audit)
    {
        await revocations.RevokeAsync(id);
        audit.TokensRevoked(http.User.UserId(), id);
        return TypedResults.NoContent();
    }
}
