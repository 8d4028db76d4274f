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
/// A token for whoever asks, so that one can try the server without an identity provider: <c>POST /dev/token</c>.
/// Development alone; elsewhere the slice maps nothing. The same username always gets the same user.
/// </summary>
public sealed class DevTokenSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.MapModule<DevTokenModule>().AddHostedService<DevelopmentBanner>();

    /// <summary>Whether tokens are handed out. An issuer's keys cannot be signed with; only a shared key of ours can.</summary>
    internal static bool IsOpen(IHostEnvironment environment, JwtSettings jwt) => environment.IsDevelopment() && !string.IsNullOrEmpty(jwt.Key);
}

/// <summary>The body of <c>POST /dev/token</c>.</summary>
/// <param name="Username">1 to 64 characters.</param>
[SchemaName("AskForDevToken")]
public sealed record DevTokenRequest([property: Required, MinLength(1), MaxLength(DevTokenModule.MaxUsername)] string? Username);

/// <summary>The answer of <c>POST /dev/token</c>.</summary>
/// <param name="Token">A JWT, good for twelve hours.</param>
/// <param name="UserId">Its <c>sub</c>.</param>
public sealed record DevToken(string Token, Guid UserId);

/// <summary>The REST side.</summary>
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
                .Describe("issueDevToken", "A token for whoever asks. In Development alone.", "Good for twelve hours. The same username always gets the same user.")
                .Accepts(new DevTokenRequest("alice"))
                .Returns(StatusCodes.Status200OK, "The token.", new DevToken("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", Example.Alice))
                .Fails(ChatError.Invalid("username", $"1 to {MaxUsername} characters."), ChatError.NotFound("There is no such address outside of Development."));
        }
    }

    private static async Task<IResult> IssueAsync(Body<DevTokenRequest> body, UserDirectory directory, IOptions<JwtSettings> jwt, TimeProvider time)
    {
        if (body.Error is not null)
            return body.Error.ToProblem();
        if (Username.Read(body.Value!.Username) is not { Text: var username, Key: var key } || WireText.Length(username) > MaxUsername)
            return ChatError.Invalid("username", $"1 to {MaxUsername} visible characters, of scripts that go together.").ToProblem();

        var userId = await directory.FindAsync(username) ?? Storage.DeterministicId.Of("dev user", Guid.Empty, Guid.Empty, key);
        // In whole seconds, as the token says it.
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
