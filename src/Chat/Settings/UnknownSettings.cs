using Chat.Hosting;
using Microsoft.Extensions.Configuration.CommandLine;
using Microsoft.Extensions.Configuration.EnvironmentVariables;

namespace Chat.Settings;

/// <summary>
/// Finds settings that nobody reads, which are nearly always a slip of the pen. What a settings file, a secret's file or
/// the command line says is meant for us, so there everything must be known. The environment belongs to others as well:
/// there a name is ours if its section is one of ours, or so near to one that it must be meant.
/// </summary>
internal static class UnknownSettings
{
    private const int NearSection = 2;

    // The framework's own, which it binds itself; what is in them HostSettings looks at.
    private static readonly string[] OtherSections = ["Logging", "Kestrel"];

    /// <summary>Names without a section that the hosting of ASP.NET Core takes on a command line, and as variables behind its prefix.</summary>
    public static readonly string[] HostNames =
    [
        "urls", "http_ports", "https_ports", "https_port", "environment", "contentRoot", "applicationName", "webroot", "allowedHosts", "shutdownTimeoutSeconds",
        "preferHostingUrls", "suppressStatusMessages", "hostingStartupAssemblies", "hostingStartupExcludeAssemblies", "preventHostingStartup",
        "captureStartupErrors", "detailedErrors", "startupAssembly", "forwardedHeaders_Enabled",
    ];

    /// <summary>What is unknown, a line each.</summary>
    public static IEnumerable<string> Validate(IConfigurationRoot configuration) =>
        configuration.Providers.SelectMany(provider => KeysOf(provider, null).Select(key => FaultOf(key, provider)).OfType<string>()).Distinct();

    private static string? FaultOf(string key, IConfigurationProvider provider)
    {
        var isVariable = provider is EnvironmentVariablesConfigurationProvider;
        var parts = key.Split(':');
        var section = parts[0];
        if (SettingsCatalog.Find(key) is not null || Is(section, Failpoint.Section) || OtherSections.Any(other => Is(section, other)))
            return null;
        if (parts.Length == 1)
        {
            // Elsewhere a bare name may be anybody's.
            return provider is not CommandLineConfigurationProvider || key.StartsWith("OTEL_", StringComparison.OrdinalIgnoreCase) || HostNames.Contains(key, StringComparer.OrdinalIgnoreCase)
                ? null
                : Message(key, Nearest.Of(key, HostNames.Concat(Names())), isVariable);
        }

        var isOurs = Sections().Any(ours => Is(section, ours));
        var isMeant = isOurs || !isVariable || Sections().Any(ours => section.Length > NearSection && Nearest.DistanceOf(section, ours) <= NearSection);
        return isMeant ? Message(key, Nearest.Of(key, Names()), isVariable) : null;
    }

    private static string Message(string key, string? near, bool isVariable)
    {
        return $"{Shown(key)} is unknown{(near is null ? "." : $"; did you mean {Shown(near)}?")}";

        string Shown(string name) => isVariable ? name.Replace(":", "__", StringComparison.Ordinal) : name;
    }

    private static IEnumerable<string> KeysOf(IConfigurationProvider provider, string? parent)
    {
        foreach (var child in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var key = parent is null ? child : ConfigurationPath.Combine(parent, child);
            // A section by itself is no setting, and some sources name it as one without a value.
            if (provider.TryGet(key, out var value) && (parent is not null || !string.IsNullOrEmpty(value)))
                yield return key;
            foreach (var below in KeysOf(provider, key))
                yield return below;
        }
    }

    private static IEnumerable<string> Names() => SettingsCatalog.All.Select(setting => setting.Name);

    private static IEnumerable<string> Sections() =>
        SettingsCatalog.All.Where(setting => setting.Name.Contains(':', StringComparison.Ordinal)).Select(setting => setting.Section).Distinct();

    private static bool Is(string text, string other) => text.Equals(other, StringComparison.OrdinalIgnoreCase);
}
