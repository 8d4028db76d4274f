using System.Text.Json.Serialization.Metadata;
using Chat.Hosting;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Backplane;

/// <summary>Registers the Redis connection and the backplane.</summary>
internal static class BackplaneRegistration
{
    public static IServiceCollection AddBackplane(this IServiceCollection services)
    {
        services.AddSingleton<IJsonTypeInfoResolver>(BackplaneJson.Wire);
        services.AddSingleton(provider => new RedisConnection(
            provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<ServerMetrics>(),
            provider.GetRequiredService<DependencyStates>()));
        services.AddHostedService(provider => provider.GetRequiredService<RedisConnection>());
        services.AddHostedSingleton<RedisSubscriptions>();
        services.AddHostedSingleton<PeerDetector>();
        services.AddSingleton(provider => new RedisBackplane(
            provider.GetRequiredService<Hub>(),
            provider.GetRequiredService<RedisConnection>(),
            provider.GetRequiredService<RedisSubscriptions>(),
            provider.GetRequiredService<PeerDetector>(),
            provider.GetServices<NodeRoute>,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RedisBackplane>>()));
        services.AddHostedService(provider => provider.GetRequiredService<RedisBackplane>());
        return services;
    }
}
