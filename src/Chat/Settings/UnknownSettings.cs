using Chat.Hosting;
using Microsoft.Extensions.Configuration.CommandLine;
using Microsoft.Extensions.Configuration.EnvironmentVariables;

namespace Chat.Settings;

/// <summary>
/// Finds settings that nothing reads, which are nearly always typos. Settings files, secret files and the command line belong
/// to this server, so everything in them must be known. The environment is shared: there a name counts as ours if its
/// section is one of ours, or very similar to one.
/// </summary>
internal static class UnknownSettings
{
    private const int NearSection = 2;

    // Bound by the framework itself; HostSettings validates them.
    private static readonly string[] OtherSections = ["Logging", "Kestrel"];

    /// <summary>
    /// Names without a section that ASP.NET Core accepts on the command line, and as environment variables with its prefix.
    /// </summary>
    public static readonly string[] HostNames =
    [
        "urls", "http_ports", "https_ports", "https_port", "environment", "contentRoot", "applicationName", "webroot", "allowedHosts",
            "shutdownTimeoutSeconds",
        "preferHostingUrls", "suppressStatusMessages", "hostingStartupAssemblies", "hostingStartupExcludeAssemblies",
        "preventHostingStartup",
        "captureStartupErrors", "detailedErrors", "startupAssembly", "forwardedHeaders_Enabled",
    ];

    /// <summary>Returns the unknown settings, one line each.</summary>
    public static IEnumerable<string> Validate(IConfigurationRoot configuration) =>
        configuration.Providers.SelectMany(provider => KeysOf(provider, null).Select(key => ErrorOf(key, provider)).OfType<string>())
            .Distinct();

    private static string? ErrorOf(string key, IConfigurationProvider provider)
    {
        var isVariable = provider is EnvironmentVariablesConfigurationProvider;
        var parts = key.Split(':');
        var section = parts[0];
        if (SettingsCatalog.Find(key) is not null || Is(section, Failpoint.Section) || OtherSections.Any(other => Is(section, other)))
            return null;
        if (parts.Length == 1)
        {
            // In other sources a bare name may belong to another program.
            return provider is not CommandLineConfigurationProvider
                || key.StartsWith("OTEL_", StringComparison.OrdinalIgnoreCase) || HostNames.Contains(key, StringComparer.OrdinalIgnoreCase)
                ? null
                : Message(key, Nearest.Of(key, HostNames.Concat(Names())), isVariable);
        }

        var isOurs = Sections().Any(ours => Is(section, ours));
        var isMeant = isOurs
            || !isVariable || Sections().Any(ours => section.Length > NearSection && Nearest.DistanceOf(section, ours) <= NearSection);
        return isMeant ? Message(key, Nearest.Of(key, Names()), isVariable) : null;
    }

    private static string Message(string key, string? nearest, bool isVariable)
    {
        return $"{Shown(key)} is unknown{(nearest is null ? "." : $"; did you mean {Shown(nearest)}?")}";

        string Shown(string name) => isVariable ? name.Replace(":", "__", StringComparison.Ordinal) : name;
    }

    private static IEnumerable<string> KeysOf(IConfigurationProvider provider, string? parent)
    {
        foreach (var child in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var key = parent is null ? child : ConfigurationPath.Combine(parent, child);
            // A section by itself is not a setting; some sources list it as a key without a value.
            if (provider.TryGet(key, out var value) && (parent is not null || !string.IsNullOrEmpty(value)))
                yield return key;
            foreach (var descendant in KeysOf(provider, key))
                yield return descendant;
        }
    }

    private static IEnumerable<string> Names() => SettingsCatalog.All.Select(setting => setting.Name);

    private static IEnumerable<string> Sections() =>
        SettingsCatalog.All.Where(setting => setting.Name.Contains(':', StringComparison.Ordinal)).Select(setting => setting.Section)
            .Distinct();

    private static bool Is(string text, string other) => text.Equals(other, StringComparison.OrdinalIgnoreCase);
}
