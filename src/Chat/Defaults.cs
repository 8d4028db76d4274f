using Microsoft.Extensions.Configuration.Json;

namespace Chat;

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

        // The host logs a start that fails, with its stack trace, and throws the same: Program.cs says it in one line.
        // A background service that fails is logged as critical besides.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level => level >= LogLevel.Information && level != LogLevel.Error);
    }
}
