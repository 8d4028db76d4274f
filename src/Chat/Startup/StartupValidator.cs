using System.Globalization;
using Chat.Hosting;
using Chat.RateLimiting;
using Chat.Settings;
using Chat.Tokens;

namespace Chat.Startup;

/// <summary>
/// Validates the configuration before anything is started. Settings are named like their environment variables; the values
/// of secrets are never shown.
/// </summary>
internal static class StartupValidator
{
    /// <summary>The longest JSON encoding of one character, in bytes: two escapes of the form \uD83D.</summary>
    private const int BytesPerCharacter = 12;

    /// <summary>The size of a send without its content, in bytes.</summary>
    private const int BytesOfEnvelope = 1024;

    private static readonly string[] EnvironmentNames = [Environments.Development, Environments.Staging, Environments.Production];
    private static readonly string[] Required = ["ConnectionStrings:Postgres", "ConnectionStrings:Redis"];

    /// <exception cref="StartupException">A setting is missing, unknown, malformed or weak; the message lists all of them.</exception>
    public static void ThrowIfInvalid(IConfigurationRoot configuration, IHostEnvironment environment)
    {
        var errors = Validate(configuration, environment).ToArray();
        if (errors.Length > 0)
            throw new StartupException("Invalid configuration: " + string.Join(' ', errors));
    }

    /// <summary>Returns what is missing, unknown, malformed or weak, one line each.</summary>
    public static IEnumerable<string> Validate(IConfigurationRoot configuration, IHostEnvironment environment) =>
    [
        .. FindMissing(configuration),
        .. (configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings()).Validate(environment.IsDevelopment()),
        .. UnknownSettings.Validate(configuration),
        .. FindMalformed(configuration),
        .. FindContradictions(configuration),
        .. ValidateFailpoints(configuration.GetSection(Failpoint.Section), environment),
        .. ValidateHost(configuration, environment),
        .. ValidateLogging(configuration.GetSection("Logging")),
        .. ValidateTelemetry(configuration),
        .. HostSettings.Validate(configuration, Environment.GetEnvironmentVariables().Keys.Cast<string>()),
    ];

    private static IEnumerable<string> FindMissing(IConfiguration configuration) =>
        from name in Required
        where string.IsNullOrWhiteSpace(configuration[name])
        select $"{Variable(name)} is required.";

    private static IEnumerable<string> FindMalformed(IConfiguration configuration) =>
        from setting in SettingsCatalog.All
        let value = configuration[setting.Name]
        // An empty value counts as unset: many environment files unset a variable this way. Numbers cannot be empty.
        where !string.IsNullOrWhiteSpace(value) || (value is not null && setting.Section == "Limits")
        let fault = setting.Validate(value)
        where fault is not null
        select $"{Variable(setting.Name)} {fault}";

    // Settings that are valid by themselves and incompatible with each other.
    private static IEnumerable<string> FindContradictions(IConfiguration configuration)
    {
        // Malformed values were reported already; use their defaults here.
        var limits = new Limits();
        foreach (var property in typeof(Limits).GetProperties())
        {
            if (configuration[$"Limits:{property.Name}"] is { } text
                && SettingsCatalog.Find($"Limits:{property.Name}")?.Validate(text) is null)
                property.SetValue(limits, property.PropertyType == typeof(int)
                    ? int.Parse(text, CultureInfo.InvariantCulture) : TimeSpan.Parse(text, CultureInfo.InvariantCulture));
        }

        // The heartbeat runs once a second, and a pong takes its time.
        if (limits.PingTimeout < limits.PingInterval + TimeSpan.FromSeconds(2))
            yield return "Limits__PingTimeout must be at least two seconds longer than Limits__PingInterval, or responsive clients would time out.";
        if (!IsWhole(limits.PingInterval) || !IsWhole(limits.PingTimeout))
            yield return "Limits__PingInterval and Limits__PingTimeout must be whole seconds.";
        var needed = (long)limits.MaxContentLength * BytesPerCharacter + BytesOfEnvelope;
        if (limits.MaxFrameBytes < needed)
            yield return $"Limits__MaxFrameBytes must be at least {needed} for a Limits__MaxContentLength of {limits.MaxContentLength} " +
                $"({BytesPerCharacter} bytes a character and {BytesOfEnvelope} more), or the longest messages cannot be sent.";
        if (limits.SendQueueBytes < limits.MaxFrameBytes)
            yield return "Limits__SendQueueBytes must be at least Limits__MaxFrameBytes, or the largest events cannot be sent.";
        if (!string.IsNullOrWhiteSpace(configuration["Web:ClientId"]) && string.IsNullOrWhiteSpace(configuration["Jwt:Authority"]))
            yield return "Web__ClientId requires Jwt__Authority.";
        // The framework's own switch trusts headers of any sender.
        if (configuration.GetValue("FORWARDEDHEADERS_ENABLED", false))
            yield return "ASPNETCORE_FORWARDEDHEADERS_ENABLED would trust headers of any sender; list your proxies in Proxies__Known instead.";
    }

    private static bool IsWhole(TimeSpan time) => time.Ticks % TimeSpan.TicksPerSecond == 0;

    private static IEnumerable<string> ValidateFailpoints(IConfigurationSection section, IHostEnvironment environment)
    {
        foreach (var setting in section.GetChildren())
        {
            if (!Failpoint.Exists || environment.IsProduction())
                yield return $"{Failpoint.Section}__{setting.Key} injects faults; it is only allowed in Debug builds, and never in Production.";
            else if (!Failpoint.Names.Contains(setting.Key, StringComparer.OrdinalIgnoreCase))
                yield return $"{Failpoint.Section}__{setting.Key} is not a setting.";
        }
    }

    private static IEnumerable<string> ValidateHost(IConfiguration configuration, IHostEnvironment environment)
    {
        if (!EnvironmentNames.Contains(environment.EnvironmentName, StringComparer.OrdinalIgnoreCase))
        {
            var suggestion = Nearest.Of(environment.EnvironmentName, EnvironmentNames)
                ?? EnvironmentNames.FirstOrDefault(name => environment.EnvironmentName.Length > 2
                && name.StartsWith(environment.EnvironmentName, StringComparison.OrdinalIgnoreCase));
            yield return $"ASPNETCORE_ENVIRONMENT must be one of {string.Join(", ", EnvironmentNames)}{(suggestion is null ? "." : $"; did you mean {suggestion}?")}";
        }

        if (configuration["shutdownTimeoutSeconds"] is { Length: > 0 } timeout
            && !int.TryParse(timeout, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            yield return "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS is not a whole number.";
    }

    private static IEnumerable<string> ValidateLogging(IConfigurationSection section)
    {
        var levels = section.GetSection("LogLevel").GetChildren()
            .Concat(section.GetChildren().Where(provider => provider.Key != "LogLevel")
            .SelectMany(provider => provider.GetSection("LogLevel").GetChildren()));
        foreach (var level in levels)
        {
            if (!Enum.TryParse<LogLevel>(level.Value, ignoreCase: true, out var value) || !Enum.IsDefined(value))
                yield return $"{Variable(level.Path)} is not a log level: {string.Join(", ", Enum.GetNames<LogLevel>())}.";
        }
    }

    private static IEnumerable<string> ValidateTelemetry(IConfiguration configuration)
    {
        foreach (var signal in (string[])["", "METRICS_", "TRACES_", "LOGS_"])
        {
            if (configuration[$"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"] is { Length: > 0 } endpoint
                && !(Uri.TryCreate(endpoint, UriKind.Absolute, out var address)
                && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps)))
                yield return $"OTEL_EXPORTER_OTLP_{signal}ENDPOINT is not an http or https address, such as http://collector:4317.";
            if (configuration[$"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"] is { Length: > 0 } protocol
                && protocol is not ("grpc" or "http/protobuf"))
                yield return $"OTEL_EXPORTER_OTLP_{signal}PROTOCOL is neither grpc nor http/protobuf.";
        }
    }

    private static string Variable(string name) => name.Replace(":", "__", StringComparison.Ordinal);
}
