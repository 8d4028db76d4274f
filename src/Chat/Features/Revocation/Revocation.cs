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
/// Cuts a removed or disabled user off, or signs somebody out on all devices: whatever token of theirs was issued until now is
/// void, and their connections are closed with 4501, at once where Redis works and within five seconds where it does not. A
/// token issued later is good again: whether to issue one is the application's decision.
/// </summary>
/// <remarks>
/// Now is a moment of ours, and <c>iat</c> one of the issuer's, whose clock may be off by <see cref="JwtSettings.ClockSkew"/>.
/// So the moment is put into the issuer's time, as <see cref="IssuerClock"/> knows it, and whatever the user has shown so far
/// is void beyond that: connections that are open, whatever their <c>iat</c>, and every <c>iat</c> up to the latest shown.
/// </remarks>
public sealed class RevocationSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.AddHostedService<Revocations>()
            .HandleNodeEvent<UserRevoked, Revocations>()
            .MapModule<RevocationModule>()
            .ConfigureMarten(options => options.Schema.For<Revocation>().Duplicate(revocation => revocation.At).Duplicate(revocation => revocation.Number));
        slice.Services.AddSingleton<ITokenRevocations>(provider => provider.GetRequiredService<Revocations>());
    }
}

/// <summary>The tokens of a user that were issued until a moment are worth nothing.</summary>
public sealed record Revocation
{
    /// <summary>The user's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>The moment, by our clock.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The latest <c>iat</c> that is void. Nodes of earlier versions leave it out: then it is <see cref="At"/>.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Its place among all revocations, in the order of their commits. Time is no such order: clocks differ.</summary>
    public long Number { get; init; }

    internal bool Voids(DateTimeOffset issuedAt) => issuedAt <= (Until ?? At);
}

/// <summary>Node event: the channel's user was revoked.</summary>
/// <param name="At">See <see cref="Revocation.At"/>.</param>
/// <param name="Until">See <see cref="Revocation.Until"/>.</param>
/// <param name="Number">See <see cref="Revocation.Number"/>.</param>
internal sealed record UserRevoked(DateTimeOffset At, DateTimeOffset? Until = null, long Number = 0) : IEvent<UserRevoked>
{
    public static string Name => "revoked";

    public static JsonTypeInfo<UserRevoked> Json => FeatureJson.Wire.UserRevoked;
}

/// <summary>The REST side: for oneself, and for tokens whose <c>scope</c> has <c>chat.admin</c>.</summary>
public sealed class RevocationModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        app.MapDelete("/chat/sessions", SignOutEverywhereAsync).RequireAuthorization().WithTags("People")
            .Describe("signOutEverywhere", "Signs the caller out on all devices.", "All tokens of the caller that were issued until now are void, this one included. Their connections are closed with 4501, at most 5 seconds later.")
            .Returns(StatusCodes.Status204NoContent, "They are void.")
            .Fails();
        app.MapPost("/admin/users/{id:guid}/revoke", RevokeAsync).RequireAdministrator().WithTags("Administration")
            .Describe("revokeUser", "Makes all tokens void that were issued to a user until now.", "Their connections are closed with 4501, at most 5 seconds later. For tokens whose `scope` has `chat.admin`.")
            .Returns(StatusCodes.Status204NoContent, "They are void.")
            .Fails();
    }

    private static async Task<IResult> SignOutEverywhereAsync(HttpContext http, Revocations revocations, AuditLog audit)
    {
        var caller = http.User.UserId();
        await revocations.RevokeAsync(caller);
        audit.SignedOutEverywhere(caller);
        return TypedResults.NoContent();
    }

    private static async Task<IResult> RevokeAsync([Description("The user.")] Guid id, HttpContext http, Revocations revocations, AuditLog audit)
    {
        await revocations.RevokeAsync(id);
        audit.TokensRevoked(http.User.UserId(), id);
        return TypedResults.NoContent();
    }
}
