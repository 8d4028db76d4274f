using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Chat.Edge;

/// <summary>
/// Middleware between the network and the features, for every response alike: forwarded headers of proxies, security
/// headers, and CORS.
/// </summary>
internal static class EdgeRegistration
{
    private static readonly TimeSpan HstsAge = TimeSpan.FromDays(365);
    private static readonly TimeSpan PreflightAge = TimeSpan.FromMinutes(10);

    /// <summary>The headers of every response. Those that it sets itself, such as a page its own policy, are kept.</summary>
    private static readonly (string Name, string Value)[] Headers =
    [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Cache-Control", "no-store"),
    ];

    public static IServiceCollection AddEdge(this IServiceCollection services, IConfiguration configuration)
    {
        var origins = new Origins(configuration["Origins:Allowed"]);
        services.AddSingleton(origins);
        // Do not disclose what the server runs on.
        services.Configure<KestrelServerOptions>(kestrel => kestrel.AddServerHeader = false);
        services.AddHsts(hsts => hsts.MaxAge = HstsAge);
        services.AddCors(cors => cors.AddDefaultPolicy(policy => policy
            .WithOrigins([.. origins.Allowed])
            .WithMethods("GET", "POST", "PUT", "PATCH", "DELETE")
            .WithHeaders("Authorization", "Content-Type")
            .WithExposedHeaders("Location", "Retry-After")
            .SetPreflightMaxAge(PreflightAge)));
        return services;
    }

    /// <summary>Adds the middleware; must run before everything that responds.</summary>
    public static void UseEdge(this WebApplication app)
    {
        if (Proxies.Options(app.Configuration) is { } forwarded)
            app.UseForwardedHeaders(forwarded);
        app.UsePathPrefix();
        app.UseHeadRequests();
        app.Use(AddHeaders);
        // The framework sends it only over https, and never for localhost.
        if (!app.Environment.IsDevelopment())
            app.UseHsts();
    }

    /// <summary>Adds the headers of every response.</summary>
    internal static Task AddHeaders(HttpContext http, RequestDelegate next)
    {
        // As late as possible: the error boundary clears headers set before.
        http.Response.OnStarting(() =>
        {
            foreach (var (name, value) in Headers)
                http.Response.Headers.TryAdd(name, value);
            return Task.CompletedTask;
        });
        return next(http);
    }
}
