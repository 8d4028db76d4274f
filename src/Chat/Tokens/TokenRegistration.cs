using Chat.Telemetry;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace Chat.Tokens;

/// <summary>Registers token validation, and REST's bearer scheme on top of it.</summary>
internal static class TokenRegistration
{
    public static IServiceCollection AddTokens(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<JwtSettings>().Bind(configuration.GetSection("Jwt"));
        services.AddSingleton<TokenValidator>();
        services.AddSingleton<IssuerKeys>();
        services.AddSingleton<IssuerClock>();
        services.AddSingleton<SubjectMapper>();
        // AddAuthentication().AddJwtBearer() without data protection: no keys on disk are needed.
        services.AddWebEncoders();
        services.AddAuthenticationCore(options => options.DefaultScheme = JwtBearerDefaults.AuthenticationScheme);
        new AuthenticationBuilder(services).AddScheme<JwtBearerOptions, JwtBearerHandler>(
            JwtBearerDefaults.AuthenticationScheme, null, _ => { });
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
        // Anonymous endpoints read no token here; the socket reads its own.
        if (http.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null
            || BearerToken.In(context.Request.Headers.Authorization.ToString()) is not { } token)
        {
            context.NoResult();
            return;
        }

        var result = await http.RequestServices.GetRequiredService<TokenValidator>().ValidateAsync(token);
        var isRequired = http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null;
        if (result.Identity is { } identity)
        {
            context.Principal = result.Principal;
            context.Success();
            // The socket's observers run later, under its concurrency limit.
            foreach (var observer in isRequired ? http.RequestServices.GetServices<IIdentityObserver>() : [])
                await observer.OnSignedInAsync(identity);
        }
        else if (result.Refusal is { } refusal)
        {
            context.Fail(result.Failure!);
            // An unneeded token refuses nothing; the socket audits its own.
            if (isRequired)
                audit.RequestRefused($"{refusal.Fault}", RouteOf(http), $"{http.Connection.RemoteIpAddress}", $"{refusal.Reason}",
                    refusal.Issuer, refusal.KeyId);
        }
        else
            context.Fail(new IssuerUnavailableException());
    }

    private static string RouteOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";
}
