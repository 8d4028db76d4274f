using System.Text.Json.Serialization.Metadata;
using Chat.Hosting;
using Chat.RateLimiting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Chat.Socket;

/// <summary>Registers the socket core; the events come from the slices.</summary>
internal static class SocketRegistration
{
    public static IServiceCollection AddSocket(this IServiceCollection services)
    {
        services.AddOptions<Limits>().BindConfiguration("Limits");
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<Limits>>().Value);
        services.AddSingleton(FileDescriptorBudget.ForThisProcess());
        services.AddSingleton<IConnectionListenerFactory, TcpTransport>();
        services.AddSingleton<IHttpContextFactory, QueryTokenContextFactory>();
        services.AddSingleton<IJsonTypeInfoResolver>(SocketJson.Wire);
        services.AddSingleton<Hub>();
        services.AddSingleton<Admission>();
        services.AddSingleton<SendRateLimiter>();
        services.AddSingleton<RequestRateLimiter>();
        services.AddSingleton<HandshakeRateLimiter>();
        services.AddSingleton<HttpConnectionLimiter>();
        services.AddOptions<KestrelServerOptions>()
            .Configure<Limits>((kestrel, limits) => kestrel.Limits.RequestHeadersTimeout = limits.RequestHeadersTimeout);
        services.AddSingleton<OpenConversationRateLimiter>();
        services.AddSingleton<WorkLimiter>();
        services.AddSingleton<SignInLimiter>();
        services.AddSingleton<SocketAuthenticator>();
        services.AddSingleton<SocketRoute>(
            provider => new SocketRoute<Authenticate>(provider.GetRequiredService<SocketAuthenticator>()) { AllowsAnonymous = true });
        services.AddSingleton(provider => new SocketDispatcher(
            provider.GetServices<SocketRoute>(),
            provider.GetRequiredService<WorkLimiter>(),
            provider.GetRequiredService<ServerMetrics>(),
            provider.GetRequiredService<DependencyStates>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<SocketDispatcher>>()));
        services.AddSingleton<FrameTraces>();
        services.AddSingleton<SocketEndpoint>();
        services.AddHostedService<Heartbeat>();
        services.AddHostedSingleton<Drain>();
        return services;
    }

    public static void MapSocket(this WebApplication app)
    {
        var endpoint = app.Services.GetRequiredService<SocketEndpoint>();
        var (limits, descriptors) = (app.Services.GetRequiredService<Limits>(), app.Services.GetRequiredService<FileDescriptorBudget>());
        app.Services.GetRequiredService<ServerMetrics>()
            .ObserveConnectionLimit(() => Math.Min(limits.MaxConnections, descriptors.Available));
        app.Use(endpoint.TrackUpgradeAsync);
        app.UseWebSockets();
        // A WebSocket over HTTP/2 opens with CONNECT.
        app.MapMethods(SocketEndpoint.Path, [HttpMethods.Get, HttpMethods.Connect], (Delegate)endpoint.HandleAsync).AllowAnonymous()
            .ExcludeFromDescription().DisableHttpMetrics();
    }
}
