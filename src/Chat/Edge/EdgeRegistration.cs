using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Chat.Edge;

/// <summary>
/// What stands between the network and the features, for every answer alike: whom a proxy speaks for, the headers
/// that tell a browser how little it may do, and which pages may ask at all.
/// </summary>
internal static class EdgeRegistration
{
    private static readonly TimeSpan HstsAge = TimeSpan.FromDays(365);
    private static readonly TimeSpan PreflightAge = TimeSpan.FromMinutes(10);

    /// <summary>For answers that are no page. A page brings a policy of its own, which is left alone.</summary>
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
        // Nobody needs to know what the server runs on.
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

    /// <summary>Ahead of everything that answers.</summary>
    public static void UseEdge(this WebApplication app)
    {
        if (Proxies.Options(app.Configuration) is { } forwarded)
            app.UseForwardedHeaders(forwarded);
        app.UsePathPrefix();
        app.UseHeadRequests();
        app.Use(AddHeaders);
        // Only over https, and never for localhost: the framework sees to both.
        if (!app.Environment.IsDevelopment())
            app.UseHsts();
    }

    /// <summary>Adds what every answer carries.</summary>
    internal static Task AddHeaders(HttpContext http, RequestDelegate next)
    {
        // As late as can be: the error boundary clears what was set before it.
        http.Response.OnStarting(() =>
        {
            foreach (var (name, value) in Headers)
                http.Response.Headers.TryAdd(name, value);
            return Task.CompletedTask;
        });
        return next(http);
    }
}
