using System.Globalization;
using System.Net;
using Chat.Telemetry;
using Microsoft.Extensions.Logging.Console;

namespace Chat.Settings;

/// <summary>
/// Validates the settings of ASP.NET Core and OpenTelemetry. They ignore unknown names, so that a typo would show only as a
/// server that listens elsewhere, or logs something else.
/// </summary>
internal static class HostSettings
{
    private const int MaxTypoDistance = 2;
    private const string HostPrefix = "ASPNETCORE_", TelemetryPrefix = "OTEL_";

    private static readonly string[] Formatters =
        [TextLogFormat.FormatName, ConsoleFormatterNames.Json, ConsoleFormatterNames.Simple, ConsoleFormatterNames.Systemd];
    private static readonly string[] Samplers =
        ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"];
    private static readonly string[] Signals = ["", "METRICS_", "TRACES_", "LOGS_"];

    // The sections that the framework reads, with their keys.
    private static readonly (string Section, string[] Names)[] Sections =
    [
        ("Logging", ["LogLevel", "Console", "Debug", "EventSource", "EventLog", "OpenTelemetry"]),
        (ConfigurationPath.Combine("Logging", "Console"),
        [
            "LogLevel", "FormatterName", "FormatterOptions", "LogToStandardErrorThreshold", "MaxQueueLength", "QueueFullMode",
                "IncludeScopes", "TimestampFormat",
            "UseUtcTimestamp", "DisableColors", "Format",
        ]),
        ("Kestrel", ["Endpoints", "EndpointDefaults", "Certificates"]),
    ];

    private static readonly string[] TelemetryNames =
    [
        "SERVICE_NAME", "RESOURCE_ATTRIBUTES", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "METRIC_EXPORT_INTERVAL", "METRIC_EXPORT_TIMEOUT",
        .. Signals.SelectMany(
            signal => new[] { "ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT" }.Select(name => $"EXPORTER_OTLP_{signal}{name}")),
    ];

    /// <summary>Returns what is wrong, one line each.</summary>
    /// <param name="configuration">The whole configuration.</param>
    /// <param name="variables">The names of the environment variables.</param>
    public static IEnumerable<string> Validate(IConfiguration configuration, IEnumerable<string> variables) =>
        [.. Unknown(configuration), .. Typos(variables), .. Addresses(configuration), .. Logging(configuration),
            .. Telemetry(configuration)];

    private static IEnumerable<string> Unknown(IConfiguration configuration) =>
        from known in Sections
        from child in configuration.GetSection(known.Section).GetChildren()
        where !known.Names.Contains(child.Key, StringComparer.OrdinalIgnoreCase)
        select $"{Variable(child.Path)} is unknown{DidYouMean(Nearest.Of(child.Key, known.Names), nearest => Variable($"{known.Section}:{nearest}"))}";

    // Other programs use these prefixes, too, but hardly with a name one typo away from one of these.
    private static IEnumerable<string> Typos(IEnumerable<string> variables) =>
        from variable in variables
        from known in ((string Prefix, string[] Names)[])[(HostPrefix, UnknownSettings.HostNames), (TelemetryPrefix, TelemetryNames)]
        where variable.StartsWith(known.Prefix, StringComparison.OrdinalIgnoreCase)
        let name = variable[known.Prefix.Length..]
        where !known.Names.Contains(name, StringComparer.OrdinalIgnoreCase)
        let nearest = known.Names.FirstOrDefault(nearest => Nearest.DistanceOf(name, nearest) <= MaxTypoDistance)
        where nearest is not null
        select $"{variable} is unknown{DidYouMean(nearest, _ => $"{known.Prefix}{nearest.ToUpperInvariant()}")}";

    private static IEnumerable<string> Addresses(IConfiguration configuration)
    {
        var usedPorts = new List<int>();
        foreach (var name in (string[])["http_ports", "https_ports"])
        {
            foreach (var text in Parts(configuration[name]))
            {
                if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= IPEndPoint.MaxPort)
                    usedPorts.Add(port);
                else
                    yield return $"{HostPrefix}{name.ToUpperInvariant()} must list ports, whole numbers to {IPEndPoint.MaxPort} separated by ';'.";
            }
        }

        foreach (var text in Parts(configuration["urls"]))
        {
            if (PortOf(text) is { } port)
                usedPorts.Add(port);
            else
                yield return $"{HostPrefix}URLS contains '{text}', which is not an address such as http://127.0.0.1:8080 or http://*:8080.";
        }

        if (configuration["Admin:Port"] is { } admin && int.TryParse(
            admin, NumberStyles.None, CultureInfo.InvariantCulture, out var adminPort) && adminPort != 0 && usedPorts.Contains(adminPort))
            yield return "Admin__Port is already used by the server itself; choose another port.";
    }

    private static IEnumerable<string> Logging(IConfiguration configuration)
    {
        if (configuration["Logging:Console:FormatterName"] is { Length: > 0 } formatter
            && !Formatters.Contains(formatter, StringComparer.OrdinalIgnoreCase))
            yield return $"Logging__Console__FormatterName must be one of {string.Join(", ", Formatters)}.";
    }

    private static IEnumerable<string> Telemetry(IConfiguration configuration)
    {
        foreach (var signal in Signals)
        {
            if (configuration[$"OTEL_EXPORTER_OTLP_{signal}TIMEOUT"] is { Length: > 0 } timeout
                && !int.TryParse(timeout, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                yield return $"OTEL_EXPORTER_OTLP_{signal}TIMEOUT is not a whole number of milliseconds.";
        }

        if (configuration["OTEL_TRACES_SAMPLER"] is { Length: > 0 } sampler && !Samplers.Contains(sampler))
            yield return $"OTEL_TRACES_SAMPLER must be one of {string.Join(", ", Samplers)}.";
        if (configuration["OTEL_TRACES_SAMPLER_ARG"] is { Length: > 0 } share
            && !(double.TryParse(share, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number is >= 0 and <= 1))
            yield return "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1.";
    }

    private static int? PortOf(string url)
    {
        try
        {
            return BindingAddress.Parse(url).Port;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static string[] Parts(string? list) =>
        (list ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string DidYouMean(string? nearest, Func<string, string> show) =>
        nearest is null ? "." : $"; did you mean {show(nearest)}?";

    private static string Variable(string name) => name.Replace(":", "__", StringComparison.Ordinal);
}
