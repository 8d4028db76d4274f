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
/// Who is there. A person is online while any of their connections, on any node, holds a lease in Redis
/// (<see cref="PresenceLeases"/>, <see cref="PresenceWorker"/>); several devices are one person. A real change is told once, to those
/// who are there and have the person among their latest contacts, with no block between (<see cref="PresenceViews"/>). The first thing to be shed under load:
/// its frames are droppable, and nothing on the message path waits for it.
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

/// <summary>Whether somebody is there, and since when not.</summary>
/// <param name="UserId">The person.</param>
/// <param name="Online">Whether any of their connections is open.</param>
/// <param name="LastSeenAt">When they were last there; only of somebody who is not.</param>
public sealed record UserStatus(Guid UserId, bool Online, DateTimeOffset? LastSeenAt);

/// <summary>The event <c>status.bulk</c>: right after <c>auth_success</c>. Also the answer of <c>GET /chat/presence</c>.</summary>
/// <param name="Users">The user's contacts, the latest 1,000 of them, in parts of at most 200.</param>
/// <param name="More">True of a part behind which another one comes; else absent.</param>
public sealed record StatusBulk(IReadOnlyList<UserStatus> Users, bool? More = null) : IEvent<StatusBulk>
{
    internal const int MaxPerFrame = 200;

    /// <inheritdoc/>
    public static string Name => "status.bulk";

    /// <inheritdoc/>
    public static JsonTypeInfo<StatusBulk> Json => FeatureJson.Wire.StatusBulk;
}

/// <summary>The event <c>user.online</c>: the first connection of somebody, over all devices and nodes.</summary>
/// <param name="UserId">The person.</param>
/// <param name="OnlineAt">When.</param>
public sealed record UserOnline(Guid UserId, DateTimeOffset OnlineAt) : IEvent<UserOnline>
{
    /// <inheritdoc/>
    public static string Name => "user.online";

    /// <inheritdoc/>
    public static JsonTypeInfo<UserOnline> Json => FeatureJson.Wire.UserOnline;
}

/// <summary>The event <c>user.offline</c>: the last connection is gone.</summary>
/// <param name="UserId">The person.</param>
/// <param name="LastSeenAt">When they were last there.</param>
public sealed record UserOffline(Guid UserId, DateTimeOffset LastSeenAt) : IEvent<UserOffline>
{
    /// <inheritdoc/>
    public static string Name => "user.offline";

    /// <inheritdoc/>
    public static JsonTypeInfo<UserOffline> Json => FeatureJson.Wire.UserOffline;
}

/// <summary>When somebody went offline last: written then, and never while they are there.</summary>
public sealed record LastSeen
{
    /// <summary>The user's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>When.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>When that was found out, by Redis' clock: up to a minute later, if their node died.</summary>
    public DateTimeOffset ToldAt { get; init; }
}

/// <summary>The REST side.</summary>
public sealed class PresenceModule : ICarterModule
{
    private const int MaxAsked = StatusBulk.MaxPerFrame;

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) => app.MapGet("/chat/presence", GetAsync).RequireAuthorization().WithTags("People")
        .Describe("getPresence", "Who is there.", "Of those asked for, the ones the caller shares a conversation with.")
        .Returns(StatusCodes.Status200OK, "What the caller may see of them.", new StatusBulk([new(Example.Bob, false, Example.At)]))
        .CostsByItems("userIds")
        .Fails(ChatError.Invalid("userIds", $"1 to {MaxAsked} ids."));

    private static async Task<IResult> GetAsync([Description("1 to 200 user ids, separated by commas."), Required] string? userIds, HttpContext http, PresenceViews presence)
    {
        var asked = new HashSet<Guid>();
        foreach (var text in (userIds ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!Guid.TryParse(text, out var id))
                return ChatError.Invalid("userIds", "User ids, separated by commas.").ToProblem();
            asked.Add(id);
        }

        if (asked.Count is < 1 or > MaxAsked)
            return ChatError.Invalid("userIds", $"1 to {MaxAsked} ids.").ToProblem();
        return TypedResults.Ok(new StatusBulk(await presence.StatusForAsync(http.User.UserId(), asked)));
    }
}
