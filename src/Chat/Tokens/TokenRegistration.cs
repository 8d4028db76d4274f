using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>Registers the bearer scheme, for REST and for the socket alike.</summary>
internal static class TokenRegistration
{
    private static readonly TimeSpan KeyRefreshInterval = TimeSpan.FromSeconds(30);

    public static IServiceCollection AddTokens(this IServiceCollection services, IConfiguration configuration)
    {
        // With a new key of the issuer's, the first token waits for it instead of being refused.
        AppContext.SetSwitch("Switch.Microsoft.IdentityModel.UpdateConfigAsBlocking", true);
        services.AddOptions<JwtSettings>().Bind(configuration.GetSection("Jwt"));
        services.AddSingleton<TokenReader>();
        services.AddSingleton<IssuerKeys>();
        // What AddAuthentication().AddJwtBearer() does, without data protection: nothing here needs keys on disk.
        services.AddWebEncoders();
        services.AddAuthenticationCore(options => options.DefaultScheme = JwtBearerDefaults.AuthenticationScheme);
        new AuthenticationBuilder(services).AddScheme<JwtBearerOptions, JwtBearerHandler>(JwtBearerDefaults.AuthenticationScheme, null, _ => { });
        services.AddSingleton<IPostConfigureOptions<JwtBearerOptions>, JwtBearerPostConfigureOptions>();
        services.AddAuthorization();
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<IOptions<JwtSettings>, ITokenRevocations, Audit, TimeProvider>(
                (bearer, settings, revocations, audit, time) => Configure(bearer, settings.Value, revocations, audit, time));
        return services;
    }

    private static void Configure(JwtBearerOptions bearer, JwtSettings settings, ITokenRevocations revocations, Audit audit, TimeProvider time)
    {
        bearer.MapInboundClaims = false;
        bearer.Authority = settings.Authority;
        // Where http is allowed at all, the start check has allowed it.
        bearer.RequireHttpsMetadata = false;
        // A token signed with a key that is not known yet makes us ask the issuer, at most this often.
        bearer.RefreshInterval = KeyRefreshInterval;
        bearer.BackchannelTimeout = IssuerKeys.Patience * 2;
        bearer.TokenValidationParameters = new TokenValidationParameters
        {
            ValidIssuer = settings.Issuer,
            ValidAudience = settings.Audience,
            IssuerSigningKey = settings.Key is { Length: > 0 } ? settings.SigningKey : null,
            // Pinned by the kind of key: a public key must never do as an HMAC secret.
            ValidAlgorithms = settings.Key is { Length: > 0 }
                ? [SecurityAlgorithms.HmacSha256]
                : [SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.EcdsaSha256],
            ClockSkew = JwtSettings.ClockSkew,
            // The default validator reads the machine's clock; ours reads the server's.
            LifetimeValidator = (notBefore, expires, token, rules) =>
                InItsLifetime(notBefore, expires, rules.ClockSkew, time) && !IsRevoked(token, revocations),
        };
        bearer.Events = new JwtBearerEvents
        {
            OnMessageReceived = async context =>
            {
                // Where no token is wanted none is read: the socket reads its own.
                if (context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null)
                    context.NoResult();
                else if (context.Request.Headers.Authorization.Count > 0 && !await context.HttpContext.RequestServices.GetRequiredService<IssuerKeys>().AskAsync())
                    context.Fail(new IssuerAwayException());
            },
            OnChallenge = context =>
            {
                if (context.AuthenticateFailure is IssuerAwayException)
                {
                    context.HandleResponse();
                    context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                }

                return Task.CompletedTask;
            },
            OnTokenValidated = async context =>
            {
                if (Identity.From(context.Principal!) is not { } identity)
                {
                    context.Fail("The sub claim is not a UUID.");
                    Refused(TokenFault.TokenInvalid, context.HttpContext);
                    return;
                }

                // Who comes for a socket is told of where they are let in, by turns.
                if (context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is null)
                    return;
                foreach (var observer in context.HttpContext.RequestServices.GetServices<IIdentityObserver>())
                    await observer.SeenAsync(identity);
            },
            OnAuthenticationFailed = context =>
            {
                Refused(context.Exception is SecurityTokenExpiredException ? TokenFault.TokenExpired : TokenFault.TokenInvalid, context.HttpContext);
                return Task.CompletedTask;
            },
            OnForbidden = context =>
            {
                audit.NotAllowed(context.HttpContext.User.FindFirst("sub")?.Value ?? "", RouteOf(context.HttpContext));
                return Task.CompletedTask;
            },
        };

        // Where no token is wanted, a bad one refuses nothing; the socket tells of its own.
        void Refused(TokenFault fault, HttpContext http)
        {
            if (http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null)
                audit.RequestRefused($"{fault}", RouteOf(http));
        }
    }

    private static string RouteOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";

    // What has no readable sub is refused for that, elsewhere.
    private static bool IsRevoked(SecurityToken token, ITokenRevocations revocations) =>
        token is JsonWebToken jwt && Guid.TryParse(jwt.Subject, out var userId) && revocations.IsRevoked(userId, TokenReader.IssueOf(jwt));

    private static bool InItsLifetime(DateTime? notBefore, DateTime? expires, TimeSpan skew, TimeProvider time)
    {
        var now = time.GetUtcNow().UtcDateTime;
        if (expires is null)
            throw new SecurityTokenNoExpirationException("The token has no exp.");
        // The skew goes to our side: a token's own times may lie at the end of what a DateTime holds.
        if (expires <= now - skew)
            throw new SecurityTokenExpiredException("The token has run out.") { Expires = expires.Value };
        return notBefore is null || notBefore <= now + skew;
    }
}
