using System.ComponentModel;
using System.Data.Common;
using System.Reflection;
using System.Text.RegularExpressions;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>Validates connection strings. Messages name keywords and never values: any of them may be a secret.</summary>
internal static partial class ConnectionStringValidator
{
    private const string PostgresForm = "is malformed: the format is Host=…;Username=…;Password=…;Database=….";
    private const string RedisForm = "is malformed: the format is host:port,password=….";

    /// <summary>With fewer connections, background loops could exhaust the pool.</summary>
    private const int MinPool = 5;

    private static readonly string[] RedisKeywords =
    [
        "abortConnect", "allowAdmin", "asyncTimeout", "channelPrefix", "checkCertificateRevocation", "configChannel", "configCheckSeconds",
        "connectRetry", "connectTimeout", "defaultDatabase", "highIntegrity", "keepAlive", "name", "password", "protocol", "proxy",
        "resolveDns",
        "serviceName", "setlib", "ssl", "sslHost", "sslProtocols", "syncTimeout", "tiebreaker", "tunnel", "user", "version",
    ];

    /// <summary>Returns what is wrong with <c>ConnectionStrings:Postgres</c>; null if it is valid.</summary>
    public static string? ValidatePostgres(string text)
    {
        DbConnectionStringBuilder given;
        try
        {
            given = new DbConnectionStringBuilder { ConnectionString = text };
        }
        catch (ArgumentException)
        {
            return PostgresForm;
        }

        var known = new NpgsqlConnectionStringBuilder();
        foreach (var keyword in given.Keys.Cast<string>())
        {
            if (!known.ContainsKey(keyword))
                return Unknown(keyword, PostgresKeywords());
            try
            {
                known[keyword] = given[keyword];
            }
            catch (Exception malformed) when (malformed is ArgumentException or FormatException or OverflowException
                or InvalidCastException)
            {
                return $"is malformed: the value of '{Shown(keyword)}' is invalid.";
            }
        }

        if (string.IsNullOrWhiteSpace(known.Host))
            return PostgresForm;
        if (known.ShouldSerialize("Command Timeout") && known.CommandTimeout is < 1 or > 60)
            return "requires a 'Command Timeout' from 1 to 60 seconds; without one a hanging database would hang every client.";
        if (known.ShouldSerialize("Timeout") && known.Timeout is < 1 or > 60)
            return "requires a 'Timeout' from 1 to 60 seconds; without one a hanging database would hang every client.";
        if (known.ShouldSerialize("Maximum Pool Size") && known.MaxPoolSize < MinPool)
            return $"requires a 'Maximum Pool Size' of at least {MinPool}.";
        if (known.ShouldSerialize("Minimum Pool Size")
            && known.ShouldSerialize("Maximum Pool Size") && known.MinPoolSize > known.MaxPoolSize)
            return "has a 'Minimum Pool Size' above its 'Maximum Pool Size'.";
        return null;
    }

    /// <summary>Returns what is wrong with <c>ConnectionStrings:Redis</c>; null if it is valid.</summary>
    public static string? ValidateRedis(string text)
    {
        // Each option by itself, because for the whole string the library reports only that it is invalid.
        foreach (var option in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(part => part.Contains('=', StringComparison.Ordinal) && part[0] != '$'))
        {
            var keyword = option[..option.IndexOf('=', StringComparison.Ordinal)].Trim();
            if (!CanParse($"host:1,{option}"))
            {
                return RedisKeywords.Contains(keyword, StringComparer.OrdinalIgnoreCase)
                    ? $"is malformed: the value of '{keyword}' is invalid."
                    : Unknown(keyword, RedisKeywords);
            }
        }

        return text.Contains("://", StringComparison.Ordinal) || !CanParse(text) ? RedisForm : null;

        static bool CanParse(string connection)
        {
            try
            {
                return ConfigurationOptions.Parse(connection).EndPoints.Count > 0;
            }
            catch (Exception malformed) when (malformed is ArgumentException or FormatException)
            {
                return false;
            }
        }
    }

    private static string Unknown(string keyword, IEnumerable<string> known) =>
        $"is malformed: '{Shown(keyword)}' is unknown{(Nearest.Of(keyword, known) is { } nearest ? $"; did you mean '{nearest}'?" : ".")}";

    // A secret that contains a comma or a semicolon is split into what looks like keywords.
    private static string Shown(string keyword) => Word().IsMatch(keyword) ? keyword : "…";

    private static IEnumerable<string> PostgresKeywords() => typeof(NpgsqlConnectionStringBuilder).GetProperties()
        .Select(property => property.GetCustomAttribute<DisplayNameAttribute>()?.DisplayName)
        .OfType<string>();

    [GeneratedRegex("^[A-Za-z][A-Za-z ]{1,39}$")]
    private static partial Regex Word();
}
