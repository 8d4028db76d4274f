namespace Chat.Hosting;

internal static class HostedSingleton
{
    /// <summary>Registers one instance both as an injectable service and as a hosted service.</summary>
    public static IServiceCollection AddHostedSingleton<TService>(this IServiceCollection services)
        where TService : class, IHostedService =>
        services.AddSingleton<TService>().AddHostedService(provider => provider.GetRequiredService<TService>());
}
