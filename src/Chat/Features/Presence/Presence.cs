using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Tracks who is online. A user is online while any of their connections, on any node, holds a lease in Redis
/// (<see cref="PresenceLeases"/>, <see cref="PresenceWorker"/>). A transition is pushed once, to online users who have the user
/// among their latest contacts and no block with them (<see cref="PresenceViews"/>). Presence is the first load to be shed: its
/// frames may be dropped, and nothing on the message path waits for it.
/// </summary>
public sealed class PresenceSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<PresenceLeases>().AddSingleton<Contacts>();
        slice.AddHostedService<PresenceViews>()
            .ObserveConnections<PresenceViews>()
            .HandleNodeEvent<PresenceChanged, PresenceViews>()
            .HandleNodeEvent<PresenceAnnounced, PresenceViews>()
            .AddHostedService<PresenceWorker>()
            .ObserveConnections<PresenceWorker>()
            .MapModule<PresenceModule>()
            .ConfigureMarten(options => options.Column<LastSeen>(nameof(LastSeen.At)));
        slice.Services.AddSingleton<IBlockObserver>(provider => provider.GetRequiredService<PresenceViews>());
    }
}

/// <summary>The presence of a user.</summary>
/// <param name="UserId">The user id.</param>
/// <param name="Online">Whether any of their connections is open.</param>
/// <param name="LastSeenAt">When they were last online; absent while they are online.</param>
public sealed record UserStatus(Guid UserId, bool Online, DateTimeOffset? LastSeenAt);

/// <summary>The event <c>status.bulk</c>, sent right after <c>auth_success</c>. Also the response of <c>GET /chat/presence</c>.</summary>
/// <param name="Users">The user's latest contacts, at most 1,000, in frames of at most 200.</param>
/// <param name="More">True if another frame follows; otherwise absent.</param>
public sealed record StatusBulk(IReadOnlyList<UserStatus> Users, bool? More = null) : IEvent<StatusBulk>
{
    internal const int MaxPerFrame = 200;

    /// <inheritdoc/>
    public static string Name => "status.bulk";

    /// <inheritdoc/>
    public static JsonTypeInfo<StatusBulk> Json => FeatureJson.Wire.StatusBulk;
}

/// <summary>The event <c>user.online</c>: the first connection of a user was opened, over all devices and nodes.</summary>
/// <param name="UserId">The user id.</param>
/// <param name="OnlineAt">When they came online.</param>
public sealed record UserOnline(Guid UserId, DateTimeOffset OnlineAt) : IEvent<UserOnline>
{
    /// <inheritdoc/>
    public static string Name => "user.online";

    /// <inheritdoc/>
    public static JsonTypeInfo<UserOnline> Json => FeatureJson.Wire.UserOnline;
}

/// <summary>The event <c>user.offline</c>: the last connection of a user was closed.</summary>
/// <param name="UserId">The user id.</param>
/// <param name="LastSeenAt">When they were last online.</param>
public sealed record UserOffline(Guid UserId, DateTimeOffset LastSeenAt) : IEvent<UserOffline>
{
    /// <inheritdoc/>
    public static string Name => "user.offline";

    /// <inheritdoc/>
    public static JsonTypeInfo<UserOffline> Json => FeatureJson.Wire.UserOffline;
}

/// <summary>When a user last went offline. Written on that transition only.</summary>
public sealed record LastSeen
{
    /// <summary>The user id.</summary>
    public required Guid Id { get; init; }

    /// <summary>When they went offline.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>When the transition was detected, by Redis' clock: up to a minute later if their node has crashed.</summary>
    public DateTimeOffset ToldAt { get; init; }
}

/// <summary>The REST endpoints.</summary>
public sealed class PresenceModule : ICarterModule
{
    private const int MaxAsked = StatusBulk.MaxPerFrame;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) => app.MapGet("/chat/presence", GetAsync).RequireAuthorization().WithTags("People")
        .Describe("getPresence", "Returns the presence of users.", "Includes only users with whom the caller shares a conversation.")
        .Returns(StatusCodes.Status200OK, "The presence of the caller's contacts among them.",
            new StatusBulk([new(Example.Bob, false, Example.At)]))
        .CostsByItems("userIds")
        .Fails(ChatError.Invalid("userIds", $"1 to {MaxAsked} ids."));

    private static async Task<IResult> GetAsync(
        [Description("1 to 200 user ids, comma-separated."), Required] string? userIds, HttpContext http, PresenceViews presence)
    {
        var asked = new HashSet<Guid>();
        foreach (var text in (userIds ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!Guid.TryParse(text, out var id))
                return ChatError.Invalid("userIds", "Comma-separated user ids.").ToProblem();
            asked.Add(id);
        }

        if (asked.Count is < 1 or > MaxAsked)
            return ChatError.Invalid("userIds", $"1 to {MaxAsked} ids.").ToProblem();
        return TypedResults.Ok(new StatusBulk(await presence.StatusForAsync(http.User.UserId(), asked)));
    }
}
