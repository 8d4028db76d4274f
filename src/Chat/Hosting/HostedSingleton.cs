namespace Chat.Hosting;

internal static class HostedSingleton
{
    /// <summary>Registers one instance as both a service that others inject and one that the host starts and stops.</summary>
    public static IServiceCollection AddHostedSingleton<TService>(this IServiceCollection services)
        where TService : class, IHostedService =>
        services.AddSingleton<TService>().AddHostedService(provider => provider.GetRequiredService<TService>());
}
