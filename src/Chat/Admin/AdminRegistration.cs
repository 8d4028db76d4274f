using Chat.Settings;

namespace Chat.Admin;

/// <summary>Registers the admin port and its modules.</summary>
internal static class AdminRegistration
{
    public static void AddAdmin(this WebApplicationBuilder builder)
    {
        var settings = AdminSettings.Of(builder.Configuration.GetSection("Admin"), builder.Environment.IsDevelopment());
        if (settings.Port == 0)
            return;
        builder.Services.AddSingleton(settings).AddSingleton<AdminGuard>().AddHostedService<AdminServer>();
        builder.Services
            .AddSingleton<IAdminModule, IndexModule>()
            .AddSingleton<IAdminModule, ConnectionsModule>()
            .AddSingleton<IAdminModule, DrainModule>()
            .AddSingleton<IAdminModule, LogLevelModule>()
            .AddSingleton<IAdminModule, TraceModule>()
            .AddSingleton<IAdminModule, DebugBundleModule>();
    }
}
