using System.ComponentModel;
using System.Text.Json.Serialization.Metadata;
using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Features;

/// <summary>
/// Revokes the tokens of a removed or disabled user, or signs a user out on all devices: every token issued until now is invalid,
/// and the user's connections are closed with 4501, at once if Redis works and within five seconds otherwise. Tokens
/// issued later are valid: whether to issue one is the application's decision.
/// </summary>
/// <remarks>
/// The time of revocation is ours and <c>iat</c> the issuer's, whose clock may be off by <see cref="JwtSettings.ClockSkew"/>. So the
/// time is converted to the issuer's clock, as <see cref="IssuerClock"/> estimates it. In addition, everything the user has
/// presented so far is invalid: open connections, whatever their <c>iat</c>, and every <c>iat</c> up to the latest presented.
/// </remarks>
public sealed class RevocationSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.AddHostedService<Revocations>()
            .HandleNodeEvent<UserRevoked, Revocations>()
            .MapModule<RevocationModule>()
            .ConfigureMarten(options =>
                options.Schema.For<Revocation>().Duplicate(revocation => revocation.At).Duplicate(revocation => revocation.Number));
        slice.Services.AddSingleton<ITokenRevocations>(provider => provider.GetRequiredService<Revocations>());
    }
}

/// <summary>Invalidates all tokens of a user issued until a point in time.</summary>
public sealed record Revocation
{
    /// <summary>The user id.</summary>
    public required Guid Id { get; init; }

    /// <summary>The time of revocation, by the server's clock.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The latest invalid <c>iat</c>. Omitted by nodes of earlier versions; then it is <see cref="At"/>.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>A sequence number in commit order. Timestamps do not give that order, because clocks differ.</summary>
    public long Number { get; init; }

    internal bool Voids(DateTimeOffset issuedAt) => issuedAt <= (Until ?? At);
}

/// <summary>Node event: the tokens of the channel's user were revoked.</summary>
/// <param name="At">See <see cref="Revocation.At"/>.</param>
/// <param name="Until">See <see cref="Revocation.Until"/>.</param>
/// <param name="Number">See <see cref="Revocation.Number"/>.</param>
internal sealed record UserRevoked(DateTimeOffset At, DateTimeOffset? Until = null, long Number = 0) : IEvent<UserRevoked>
{
    public static string Name => "revoked";

    public static JsonTypeInfo<UserRevoked> Json => FeatureJson.Wire.UserRevoked;
}

/// <summary>The REST endpoints: for the caller's own tokens, and for all users with the scope <c>chat.admin</c>.</summary>
public sealed class RevocationModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        app.MapDelete("/chat/sessions", SignOutEverywhereAsync).RequireAuthorization().WithTags("People")
            .Describe(
                "signOutEverywhere", "Signs the caller out on all devices.",
                "Revokes all tokens of the caller issued until now, including the one used here. Their connections are closed with 4501 within 5 seconds.")
            .Returns(StatusCodes.Status204NoContent, "The tokens are revoked.")
            .Fails();
        app.MapPost("/admin/users/{id:guid}/revoke", RevokeAsync).RequireAdministrator().WithTags("Administration")
            .Describe("revokeUser", "Revokes all tokens of a user issued until now.",
                "Their connections are closed with 4501 within 5 seconds. Requires a token whose `scope` includes `chat.admin`.")
            .Returns(StatusCodes.Status204NoContent, "The tokens are revoked.")
            .Fails();
    }

    private static async Task<IResult> SignOutEverywhereAsync(HttpContext http, Revocations revocations, AuditLog audit)
    {
        var caller = http.User.UserId();
        await revocations.RevokeAsync(caller);
        audit.SignedOutEverywhere(caller);
        return TypedResults.NoContent();
    }

    private static async Task<IResult> RevokeAsync(
        [Description("The user.")] Guid id, HttpContext http, Revocations revocations, AuditLog audit)
    {
        await revocations.RevokeAsync(id);
        audit.TokensRevoked(http.User.UserId(), id);
        return TypedResults.NoContent();
    }
}
