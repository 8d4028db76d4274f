using System.ComponentModel.DataAnnotations;
using Carter;
using Chat.Json;
using Chat.Rest;
using Chat.Slices;
using Chat.Socket;
using Chat.Tokens;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Features;

/// <summary>
/// Issues tokens to anyone, to try the server without an identity provider: <c>POST /dev/token</c>. Only in Development; otherwise
/// the endpoint is not mapped. A username always maps to the same user.
/// </summary>
public sealed class DevTokenSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.MapModule<DevTokenModule>().AddHostedService<DevelopmentBanner>();

    /// <summary>Returns whether tokens are issued. Requires a shared key: an issuer's public keys cannot sign.</summary>
    internal static bool IsOpen(IHostEnvironment environment, JwtSettings jwt) =>
        environment.IsDevelopment() && !string.IsNullOrEmpty(jwt.Key);
}

/// <summary>The body of <c>POST /dev/token</c>.</summary>
/// <param name="Username">1 to 64 characters.</param>
[SchemaName("AskForDevToken")]
public sealed record DevTokenRequest([property: Required, MinLength(1), MaxLength(DevTokenModule.MaxUsername)] string? Username);

/// <summary>The response of <c>POST /dev/token</c>.</summary>
/// <param name="Token">A JWT that expires after twelve hours.</param>
/// <param name="UserId">Its <c>sub</c> claim.</param>
public sealed record DevToken(string Token, Guid UserId);

/// <summary>The REST endpoints.</summary>
public sealed class DevTokenModule : ICarterModule
{
    internal const int MaxUsername = 64;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app)
    {
        var jwt = app.ServiceProvider.GetRequiredService<IOptions<JwtSettings>>().Value;
        if (DevTokenSlice.IsOpen(app.ServiceProvider.GetRequiredService<IHostEnvironment>(), jwt))
        {
            app.MapPost("/dev/token", IssueAsync).AllowAnonymous().WithTags("Development")
                .Describe("issueDevToken", "Issues a token to anyone. Only in Development.",
                    "Expires after twelve hours. A username always maps to the same user.")
                .Accepts(new DevTokenRequest("alice"))
                .Returns(StatusCodes.Status200OK, "The token.", new DevToken("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", Example.Alice))
                .Fails(ChatError.Invalid("username", $"1 to {MaxUsername} characters."),
                    ChatError.NotFound("This endpoint exists only in Development."));
        }
    }

    private static async Task<IResult> IssueAsync(
        Body<DevTokenRequest> body, UserDirectory directory, IOptions<JwtSettings> jwt, TimeProvider time)
    {
        if (!body.Content.Succeeded(out var request, out var error))
            return error.ToProblem();
        if (Username.Read(request.Username) is not { Text: var username, Key: var key } || WireText.Length(username) > MaxUsername)
            return ChatError.Invalid("username", $"1 to {MaxUsername} visible characters of compatible scripts.").ToProblem();

        var userId = await directory.FindAsync(username) ?? Storage.DeterministicId.Of("dev user", Guid.Empty, Guid.Empty, key);
        // Whole seconds, the resolution of iat.
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds());
        await directory.OnSignedInAsync(new Identity(userId, username, username, null) { IssuedAt = issuedAt });
        var now = issuedAt.UtcDateTime;
        var token = new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = jwt.Value.Issuer,
            Audience = jwt.Value.Audience,
            NotBefore = now,
            IssuedAt = now,
            Expires = now + Lifetime,
            Claims = new Dictionary<string, object> { ["sub"] = userId.ToString(), ["preferred_username"] = username, ["name"] = username },
            SigningCredentials = new SigningCredentials(jwt.Value.SigningKey, SecurityAlgorithms.HmacSha256),
        });
        return TypedResults.Ok(new DevToken(token, userId));
    }
}
