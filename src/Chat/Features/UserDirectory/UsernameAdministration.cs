using System.ComponentModel.DataAnnotations;
using Carter;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Features;

/// <summary>The body of <c>POST /admin/usernames/release</c>.</summary>
/// <param name="Username">The name, in any spelling.</param>
public sealed record ReleaseUsername([property: Required, MinLength(1)] string? Username);

/// <summary>The body of <c>POST /admin/usernames/move</c>.</summary>
/// <param name="Username">The name as it is to be shown.</param>
/// <param name="UserId">Who gets it. They need not have signed in yet.</param>
public sealed record MoveUsername([property: Required, MinLength(1)] string? Username, [property: Required] Guid? UserId);

/// <summary>
/// For when the identity provider made somebody anew: same username, new <c>sub</c>. The name would stay with the dead one for
/// ever. For tokens whose <c>scope</c> has <c>chat.admin</c>.
/// </summary>
public sealed class UsernameModule : ICarterModule
{
    private static readonly ChatError NoName = ChatError.Invalid("username", "Not a username: 1 to 256 visible characters.");
    private static readonly ChatError NotFound = ChatError.NotFound("Nobody has this username.");

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var usernames = app.MapGroup("/admin/usernames").RequireAdministrator().WithTags("Administration");
        usernames.MapPost("release", ReleaseAsync)
            .Describe("releaseUsername", "Takes a username from whoever has it, or had it last.",
                "It is free at once: whoever claims it first gets it. For tokens whose `scope` has `chat.admin`.")
            .Accepts(new ReleaseUsername("alice"))
            .Returns(StatusCodes.Status204NoContent, "It is free.")
            .Fails(NoName, NotFound);
        usernames.MapPost("move", MoveAsync)
            .Describe("moveUsername", "Gives a username to a user, whoever has it.",
                "The user's own is given up. For tokens whose `scope` has `chat.admin`.")
            .Accepts(new MoveUsername("alice", Example.Alice))
            .Returns(StatusCodes.Status204NoContent, "It is theirs.")
            .Fails(NoName);
    }

    private static async Task<IResult> ReleaseAsync(Body<ReleaseUsername> body, HttpContext http, UserDirectory directory, AuditLog audit)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        if (Username.Read(body.Value!.Username) is not { } name)
            return NoName.ToProblem();
        if (await directory.ReleaseAsync(name) is not { } had)
            return NotFound.ToProblem();
        audit.UsernameReleased(had, http.User.UserId());
        return TypedResults.NoContent();
    }

    private static async Task<IResult> MoveAsync(Body<MoveUsername> body, HttpContext http, UserDirectory directory, AuditLog audit)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        if (Username.Read(body.Value!.Username) is not { } name)
            return NoName.ToProblem();
        if (body.Value.UserId is not { } userId || userId == Guid.Empty)
            return ChatError.Invalid("userId", "Not a user's id.").ToProblem();
        if (!await directory.MoveAsync(name, userId))
            return ChatError.Invalid("username", "Somebody has a name that looks like this one.").ToProblem();
        audit.UsernameAssigned(userId, http.User.UserId());
        return TypedResults.NoContent();
    }
}
