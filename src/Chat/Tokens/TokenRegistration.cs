using Chat.Telemetry;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace Chat.Tokens;

/// <summary>Registers the check of tokens, and the bearer scheme of REST, which asks it.</summary>
internal static class TokenRegistration
{
    public static IServiceCollection AddTokens(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<JwtSettings>().Bind(configuration.GetSection("Jwt"));
        services.AddSingleton<TokenValidator>();
        services.AddSingleton<IssuerKeys>();
        services.AddSingleton<IssuerClock>();
        services.AddSingleton<SubjectMapper>();
        // What AddAuthentication().AddJwtBearer() does, without data protection: nothing here needs keys on disk.
        services.AddWebEncoders();
        services.AddAuthenticationCore(options => options.DefaultScheme = JwtBearerDefaults.AuthenticationScheme);
        new AuthenticationBuilder(services).AddScheme<JwtBearerOptions, JwtBearerHandler>(JwtBearerDefaults.AuthenticationScheme, null, _ => { });
        services.AddSingleton<IPostConfigureOptions<JwtBearerOptions>, JwtBearerPostConfigureOptions>();
        services.AddAuthorization();
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<AuditLog>((bearer, audit) => bearer.Events = new JwtBearerEvents
            {
                OnMessageReceived = context => ReadAsync(context, audit),
                OnChallenge = context =>
                {
                    if (context.AuthenticateFailure is IssuerUnavailableException)
                    {
                        context.HandleResponse();
                        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                    }

                    return Task.CompletedTask;
                },
                OnForbidden = context =>
                {
                    audit.AccessDenied(context.HttpContext.User.FindFirst("sub")?.Value ?? "", RouteOf(context.HttpContext));
                    return Task.CompletedTask;
                },
            });
        return services;
    }

    private static async Task ReadAsync(MessageReceivedContext context, AuditLog audit)
    {
        var http = context.HttpContext;
        // Where no token is wanted none is read: the socket reads its own.
        if (http.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null
            || BearerToken.In(context.Request.Headers.Authorization.ToString()) is not { } token)
        {
            context.NoResult();
            return;
        }

        var reading = await http.RequestServices.GetRequiredService<TokenValidator>().ValidateAsync(token);
        var isWanted = http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null;
        if (reading.Identity is { } identity)
        {
            context.Principal = reading.Principal;
            context.Success();
            // Who comes for a socket is told of where they are let in, by turns.
            foreach (var observer in isWanted ? http.RequestServices.GetServices<IIdentityObserver>() : [])
                await observer.OnSignedInAsync(identity);
        }
        else if (reading.Refusal is { } refusal)
        {
            context.Fail(reading.Failure!);
            // Where no token is wanted, a bad one refuses nothing; the socket tells of its own.
            if (isWanted)
                audit.RequestRefused($"{refusal.Fault}", RouteOf(http), $"{http.Connection.RemoteIpAddress}", $"{refusal.Reason}", refusal.Issuer, refusal.KeyId);
        }
        else
            context.Fail(new IssuerUnavailableException());
    }

    private static string RouteOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";
}
