using System.ComponentModel.DataAnnotations;
using Carter;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Features;

/// <summary>The body of <c>POST /admin/usernames/release</c>.</summary>
/// <param name="Username">The username, in any spelling.</param>
public sealed record ReleaseUsername([property: Required, MinLength(1)] string? Username);

/// <summary>The body of <c>POST /admin/usernames/move</c>.</summary>
/// <param name="Username">The username, in the spelling to display.</param>
/// <param name="UserId">The new owner, who may never have signed in.</param>
public sealed record MoveUsername([property: Required, MinLength(1)] string? Username, [property: Required] Guid? UserId);

/// <summary>
/// Administers usernames, for accounts that the identity provider has recreated: same username, new <c>sub</c>. Otherwise the name
/// would stay with the deleted account forever. Requires the scope <c>chat.admin</c>.
/// </summary>
public sealed class UsernameModule : ICarterModule
{
    private static readonly ChatError NoName = ChatError.Invalid("username", "Not a username: 1 to 256 visible characters.");
    private static readonly ChatError NotFound = ChatError.NotFound("Username not found.");

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var usernames = app.MapGroup("/admin/usernames").RequireAdministrator().WithTags("Administration");
        usernames.MapPost("release", ReleaseAsync)
            .Describe("releaseUsername", "Releases a username from its current or last owner.",
                "It is available at once to the first user who claims it. Requires a token whose `scope` includes `chat.admin`.")
            .Accepts(new ReleaseUsername("alice"))
            .Returns(StatusCodes.Status204NoContent, "The username is available.")
            .Fails(NoName, NotFound);
        usernames.MapPost("move", MoveAsync)
            .Describe("moveUsername", "Moves a username to a user, whoever has it.",
                "The user's previous username is released. Requires a token whose `scope` includes `chat.admin`.")
            .Accepts(new MoveUsername("alice", Example.Alice))
            .Returns(StatusCodes.Status204NoContent, "The user has the username.")
            .Fails(NoName);
    }

    private static async Task<IResult> ReleaseAsync(Body<ReleaseUsername> body, HttpContext http, UserDirectory directory, AuditLog audit)
    {
        if (!body.Content.Succeeded(out var request, out var error))
            return error.ToProblem();
        if (Username.Read(request.Username) is not { } name)
            return NoName.ToProblem();
        if (await directory.ReleaseAsync(name) is not { } owner)
            return NotFound.ToProblem();
        audit.UsernameReleased(owner, http.User.UserId());
        return TypedResults.NoContent();
    }

    private static async Task<IResult> MoveAsync(Body<MoveUsername> body, HttpContext http, UserDirectory directory, AuditLog audit)
    {
        if (!body.Content.Succeeded(out var request, out var error))
            return error.ToProblem();
        if (Username.Read(request.Username) is not { } name)
            return NoName.ToProblem();
        if (request.UserId is not { } userId || userId == Guid.Empty)
            return ChatError.Invalid("userId", "Not a user id.").ToProblem();
        if (!await directory.MoveAsync(name, userId))
            return ChatError.Invalid("username", "Another user has a name that looks the same.").ToProblem();
        audit.UsernameAssigned(userId, http.User.UserId());
        return TypedResults.NoContent();
    }
}
