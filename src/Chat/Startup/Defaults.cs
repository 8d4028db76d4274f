using Chat.Hosting;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.Logging.Console;

namespace Chat.Startup;

/// <summary>Defaults for every start, whatever the working directory.</summary>
internal static class Defaults
{
    public static void AddDefaults(this WebApplicationBuilder builder)
    {
        // The framework reads settings from the working directory only; those beside the program have the lowest precedence, so that
        // everything else overrides them.
        var settings = new JsonConfigurationSource { Path = Path.Combine(AppContext.BaseDirectory, "appsettings.json"), Optional = true };
        settings.ResolveFileProvider();
        ((IConfigurationBuilder)builder.Configuration).Sources.Insert(0, settings);

        // Secrets as files, as mounted by orchestrators; they override other sources.
        if (builder.Configuration["Secrets:Directory"] is { Length: > 0 } secrets)
        {
            if (!Directory.Exists(secrets))
                throw new StartupException($"Invalid configuration: Secrets__Directory is '{secrets}', which is not a directory.");
            builder.Configuration.AddKeyPerFile(Path.GetFullPath(secrets), optional: false, reloadOnChange: false);
        }

        // The host logs a failed start with its stack trace and rethrows; Program.cs prints it in one line. A failed background
        // service is also logged as critical.
        builder.Logging.AddFilter(
            "Microsoft.Extensions.Hosting.Internal.Host", level => level >= LogLevel.Information && level != LogLevel.Error);

        // At Debug Kestrel quotes malformed request lines, which may contain a token. Last, and for every provider: of two rules for
        // a category the later one wins.
        builder.Services.PostConfigure<LoggerFilterOptions>(log =>
        {
            foreach (var provider in log.Rules.Select(rule => rule.ProviderName).Append(null).Distinct().ToArray())
                log.Rules.Add(
                    new LoggerFilterRule(provider, "Microsoft.AspNetCore.Server.Kestrel.BadRequests", LogLevel.Information, filter: null));
        });

        // No effect unless systemd is the parent: then it is notified when the server is up (Type=notify) and when it stops, and the
        // journal gets each line's level. A configured formatter is kept.
        builder.Services.AddSystemd();
        if (builder.Configuration["Logging:Console:FormatterName"] is { } formatter)
            builder.Services.PostConfigure<ConsoleLoggerOptions>(console => console.FormatterName = formatter);
    }
}
