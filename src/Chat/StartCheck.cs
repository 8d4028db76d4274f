using System.ComponentModel;
using System.Globalization;
using System.Text.RegularExpressions;
using Chat.Edge;
using Chat.Telemetry;
using Chat.Tokens;
using Npgsql;
using StackExchange.Redis;

namespace Chat;

/// <summary>
/// What must be configured, checked before anything is started. It names settings the way environment variables do.
/// It never shows the value of a secret.
/// </summary>
internal static partial class StartCheck
{
    private const int MaxNumber = 1_000_000_000;
    private static readonly TimeSpan MaxTime = TimeSpan.FromDays(1);

    /// <exception cref="StartException">Something is missing, malformed or weak; the message names all of it.</exception>
    public static void Run(IConfiguration configuration, IHostEnvironment environment)
    {
        string[] faults =
        [
            .. ConnectionFaults(configuration, "Postgres", CheckPostgres),
            .. ConnectionFaults(configuration, "Redis", CheckRedis),
            .. (configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings()).Faults(environment.IsDevelopment()),
            .. LimitFaults(configuration.GetSection("Limits")),
            .. StorageFaults(configuration.GetSection("Storage")),
            .. Origins.Faults(configuration["Origins:Allowed"]),
            .. Proxies.Faults(configuration),
            .. FailpointFaults(configuration.GetSection(Failpoint.Section), environment),
            .. WebFaults(configuration),
            .. AdminSettings.Faults(configuration.GetSection("Admin")),
        ];
        if (faults.Length > 0)
            throw new StartException("Not configured: " + string.Join(' ', faults));
    }

    private static IEnumerable<string> ConnectionFaults(IConfiguration configuration, string name, Func<string, string?> check)
    {
        var connection = configuration.GetConnectionString(name);
        if (string.IsNullOrWhiteSpace(connection))
            yield return $"ConnectionStrings__{name} is missing.";
        else if (check(connection) is { } fault)
            yield return $"ConnectionStrings__{name} is malformed: {fault}";
    }

    private static string? CheckPostgres(string connection)
    {
        const string Form = "it has the form Host=…;Username=…;Password=…;Database=….";
        try
        {
            return string.IsNullOrWhiteSpace(new NpgsqlConnectionStringBuilder(connection).Host) ? Form : null;
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or KeyNotFoundException)
        {
            return Form;
        }
    }

    private static string? CheckRedis(string connection)
    {
        const string Form = "it has the form host:port,password=….";
        try
        {
            return connection.Contains("://", StringComparison.Ordinal) || ConfigurationOptions.Parse(connection).EndPoints.Count == 0 ? Form : null;
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException)
        {
            return Form;
        }
    }

    private static IEnumerable<string> LimitFaults(IConfigurationSection section)
    {
        var limits = new Limits();
        var known = typeof(Limits).GetProperties().ToDictionary(property => property.Name, StringComparer.OrdinalIgnoreCase);
        foreach (var setting in section.GetChildren())
        {
            if (!known.TryGetValue(setting.Key, out var property))
            {
                yield return $"Limits__{setting.Key} is not a setting.";
                continue;
            }

            if (Read(property.PropertyType, setting.Value) is { } value)
                property.SetValue(limits, value);
            else if (property.PropertyType == typeof(TimeSpan))
                yield return $"Limits__{property.Name} is not a time above 0 and of at most a day: write hours:minutes:seconds.";
            else
                yield return $"Limits__{property.Name} is not a whole number from 1 to {MaxNumber}.";
        }

        if (limits.PingTimeout <= limits.PingInterval)
            yield return "Limits__PingTimeout must be longer than Limits__PingInterval, or every silent client is cut.";
    }

    private static IEnumerable<string> StorageFaults(IConfigurationSection section)
    {
        // It becomes a part of SQL statements.
        if (section["Schema"] is { } schema && !SchemaName().IsMatch(schema))
            yield return "Storage__Schema takes 1 to 63 lower-case letters, digits and _, and starts with a letter.";
        if (section["StartTimeout"] is { } timeout && Read(typeof(TimeSpan), timeout) is null)
            yield return "Storage__StartTimeout is not a time above 0 and of at most a day: write hours:minutes:seconds.";
    }

    private static IEnumerable<string> FailpointFaults(IConfigurationSection section, IHostEnvironment environment)
    {
        foreach (var setting in section.GetChildren())
        {
            if (!Failpoint.Exists || environment.IsProduction())
                yield return $"{Failpoint.Section}__{setting.Key} breaks the server on purpose: only a Debug build takes it, and never in Production.";
            else if (!Failpoint.Names.Contains(setting.Key, StringComparer.OrdinalIgnoreCase))
                yield return $"{Failpoint.Section}__{setting.Key} is not a setting.";
        }
    }

    private static IEnumerable<string> WebFaults(IConfiguration configuration)
    {
        if (!string.IsNullOrWhiteSpace(configuration["Web:ClientId"]) && string.IsNullOrWhiteSpace(configuration["Jwt:Authority"]))
            yield return "Web__ClientId names the web client to an issuer, but Jwt__Authority is missing.";
    }

    /// <summary>A value as the binder would read it, if it is within its bounds.</summary>
    private static object? Read(Type type, string? text)
    {
        try
        {
            return TypeDescriptor.GetConverter(type).ConvertFrom(null, CultureInfo.InvariantCulture, text ?? "") switch
            {
                int number when number is > 0 and <= MaxNumber => number,
                TimeSpan time when time > TimeSpan.Zero && time <= MaxTime => time,
                _ => null,
            };
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or OverflowException)
        {
            return null;
        }
    }

    [GeneratedRegex("^[a-z][a-z0-9_]{0,62}$")]
    private static partial Regex SchemaName();
}
