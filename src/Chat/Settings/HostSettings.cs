using System.Globalization;
using System.Net;
using Chat.Telemetry;
using Microsoft.Extensions.Logging.Console;

namespace Chat.Settings;

/// <summary>
/// What is wrong with the settings of the framework and of OpenTelemetry. They ignore what they do not know, so that a slip of the
/// pen would show as a server that listens elsewhere, or logs what nobody asked for.
/// </summary>
internal static class HostSettings
{
    private const int NearName = 2;
    private const string HostPrefix = "ASPNETCORE_", TelemetryPrefix = "OTEL_";

    private static readonly string[] Formatters = [TextLogFormat.FormatName, ConsoleFormatterNames.Json, ConsoleFormatterNames.Simple, ConsoleFormatterNames.Systemd];
    private static readonly string[] Samplers = ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"];
    private static readonly string[] Signals = ["", "METRICS_", "TRACES_", "LOGS_"];

    // The sections that the framework reads, each with what it reads there.
    private static readonly (string Section, string[] Names)[] Sections =
    [
        ("Logging", ["LogLevel", "Console", "Debug", "EventSource", "EventLog", "OpenTelemetry"]),
        (ConfigurationPath.Combine("Logging", "Console"),
        [
            "LogLevel", "FormatterName", "FormatterOptions", "LogToStandardErrorThreshold", "MaxQueueLength", "QueueFullMode", "IncludeScopes", "TimestampFormat",
            "UseUtcTimestamp", "DisableColors", "Format",
        ]),
        ("Kestrel", ["Endpoints", "EndpointDefaults", "Certificates"]),
    ];

    private static readonly string[] TelemetryNames =
    [
        "SERVICE_NAME", "RESOURCE_ATTRIBUTES", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "METRIC_EXPORT_INTERVAL", "METRIC_EXPORT_TIMEOUT",
        .. Signals.SelectMany(signal => new[] { "ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT" }.Select(name => $"EXPORTER_OTLP_{signal}{name}")),
    ];

    /// <summary>What is wrong, a line each.</summary>
    /// <param name="configuration">All of it.</param>
    /// <param name="variables">The names of the environment's variables.</param>
    public static IEnumerable<string> Validate(IConfiguration configuration, IEnumerable<string> variables) =>
        [.. Unknown(configuration), .. Slips(variables), .. Addresses(configuration), .. Logging(configuration), .. Telemetry(configuration)];

    private static IEnumerable<string> Unknown(IConfiguration configuration) =>
        from known in Sections
        from child in configuration.GetSection(known.Section).GetChildren()
        where !known.Names.Contains(child.Key, StringComparer.OrdinalIgnoreCase)
        select $"{Variable(child.Path)} is unknown{DidYouMean(Nearest.Of(child.Key, known.Names), near => Variable($"{known.Section}:{near}"))}";

    // Others have variables that begin so, too; but hardly one that is a letter away from one of these.
    private static IEnumerable<string> Slips(IEnumerable<string> variables) =>
        from variable in variables
        from known in ((string Prefix, string[] Names)[])[(HostPrefix, UnknownSettings.HostNames), (TelemetryPrefix, TelemetryNames)]
        where variable.StartsWith(known.Prefix, StringComparison.OrdinalIgnoreCase)
        let name = variable[known.Prefix.Length..]
        where !known.Names.Contains(name, StringComparer.OrdinalIgnoreCase)
        let near = known.Names.FirstOrDefault(near => Nearest.DistanceOf(name, near) <= NearName)
        where near is not null
        select $"{variable} is unknown{DidYouMean(near, _ => $"{known.Prefix}{near.ToUpperInvariant()}")}";

    private static IEnumerable<string> Addresses(IConfiguration configuration)
    {
        var taken = new List<int>();
        foreach (var name in (string[])["http_ports", "https_ports"])
        {
            foreach (var text in Parts(configuration[name]))
            {
                if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= IPEndPoint.MaxPort)
                    taken.Add(port);
                else
                    yield return $"{HostPrefix}{name.ToUpperInvariant()} takes ports, whole numbers to {IPEndPoint.MaxPort} with ';' between several.";
            }
        }

        foreach (var text in Parts(configuration["urls"]))
        {
            if (PortOf(text) is { } port)
                taken.Add(port);
            else
                yield return $"{HostPrefix}URLS has '{text}', which is no address such as http://127.0.0.1:8080 or http://*:8080.";
        }

        if (configuration["Admin:Port"] is { } admin && int.TryParse(admin, NumberStyles.None, CultureInfo.InvariantCulture, out var own) && own != 0 && taken.Contains(own))
            yield return "Admin__Port is a port at which the server itself listens: give it one of its own.";
    }

    private static IEnumerable<string> Logging(IConfiguration configuration)
    {
        if (configuration["Logging:Console:FormatterName"] is { Length: > 0 } formatter && !Formatters.Contains(formatter, StringComparer.OrdinalIgnoreCase))
            yield return $"Logging__Console__FormatterName is none of {string.Join(", ", Formatters)}.";
    }

    private static IEnumerable<string> Telemetry(IConfiguration configuration)
    {
        foreach (var signal in Signals)
        {
            if (configuration[$"OTEL_EXPORTER_OTLP_{signal}TIMEOUT"] is { Length: > 0 } timeout && !int.TryParse(timeout, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                yield return $"OTEL_EXPORTER_OTLP_{signal}TIMEOUT is not a whole number of milliseconds.";
        }

        if (configuration["OTEL_TRACES_SAMPLER"] is { Length: > 0 } sampler && !Samplers.Contains(sampler))
            yield return $"OTEL_TRACES_SAMPLER is none of {string.Join(", ", Samplers)}.";
        if (configuration["OTEL_TRACES_SAMPLER_ARG"] is { Length: > 0 } share
            && !(double.TryParse(share, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 1))
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

    private static string[] Parts(string? list) => (list ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string DidYouMean(string? near, Func<string, string> show) => near is null ? "." : $"; did you mean {show(near)}?";

    private static string Variable(string name) => name.Replace(":", "__", StringComparison.Ordinal);
}
