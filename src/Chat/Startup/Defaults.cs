using Chat.Hosting;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.Logging.Console;

namespace Chat.Startup;

/// <summary>What holds for every start, however and from wherever the program is run.</summary>
internal static class Defaults
{
    public static void AddDefaults(this WebApplicationBuilder builder)
    {
        // The framework looks for settings in the working folder only; those beside the program come first, so that
        // anything else overrules them.
        var settings = new JsonConfigurationSource { Path = Path.Combine(AppContext.BaseDirectory, "appsettings.json"), Optional = true };
        settings.ResolveFileProvider();
        ((IConfigurationBuilder)builder.Configuration).Sources.Insert(0, settings);

        // Secrets as files, as orchestrators mount them: they overrule what else says the same.
        if (builder.Configuration["Secrets:Directory"] is { Length: > 0 } secrets)
        {
            if (!Directory.Exists(secrets))
                throw new StartupException($"Not configured: Secrets__Directory names {secrets}, which is no directory.");
            builder.Configuration.AddKeyPerFile(Path.GetFullPath(secrets), optional: false, reloadOnChange: false);
        }

        // The host logs a start that fails, with its stack trace, and throws the same: Program.cs says it in one line.
        // A background service that fails is logged as critical besides.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level => level >= LogLevel.Information && level != LogLevel.Error);

        // At Debug Kestrel quotes the line of a request that it cannot read, and what stands in it may be a token. Behind all other
        // rules, for every provider: of two rules for a category the later one counts.
        builder.Services.PostConfigure<LoggerFilterOptions>(log =>
        {
            foreach (var provider in log.Rules.Select(rule => rule.ProviderName).Append(null).Distinct().ToArray())
                log.Rules.Add(new LoggerFilterRule(provider, "Microsoft.AspNetCore.Server.Kestrel.BadRequests", LogLevel.Information, filter: null));
        });

        // Nothing unless systemd is the parent: then it is told when the server is up (Type=notify) and when it begins to
        // stop, and the journal gets each line's level. A formatter that somebody chose stays.
        builder.Services.AddSystemd();
        if (builder.Configuration["Logging:Console:FormatterName"] is { } formatter)
            builder.Services.PostConfigure<ConsoleLoggerOptions>(console => console.FormatterName = formatter);
    }
}
