using System.ComponentModel;
using System.Data.Common;
using System.Reflection;
using System.Text.RegularExpressions;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>What is wrong with a connection string. Names its keywords and never a value: any of them may be a secret.</summary>
internal static partial class ConnectionStringValidator
{
    private const string PostgresForm = "is malformed: it has the form Host=…;Username=…;Password=…;Database=….";
    private const string RedisForm = "is malformed: it has the form host:port,password=….";

    /// <summary>Less than this, and the loops that keep watch take every connection from those who ask.</summary>
    private const int MinPool = 5;

    private static readonly string[] RedisKeywords =
    [
        "abortConnect", "allowAdmin", "asyncTimeout", "channelPrefix", "checkCertificateRevocation", "configChannel", "configCheckSeconds",
        "connectRetry", "connectTimeout", "defaultDatabase", "highIntegrity", "keepAlive", "name", "password", "protocol", "proxy", "resolveDns",
        "serviceName", "setlib", "ssl", "sslHost", "sslProtocols", "syncTimeout", "tiebreaker", "tunnel", "user", "version",
    ];

    /// <summary>Of <c>ConnectionStrings:Postgres</c>.</summary>
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
            catch (Exception malformed) when (malformed is ArgumentException or FormatException or OverflowException or InvalidCastException)
            {
                return $"is malformed: it takes another value for '{Shown(keyword)}'.";
            }
        }

        if (string.IsNullOrWhiteSpace(known.Host))
            return PostgresForm;
        if (known.ShouldSerialize("Command Timeout") && known.CommandTimeout is < 1 or > 60)
            return "takes a 'Command Timeout' from 1 to 60 seconds: without an end a database that hangs would hang every client.";
        if (known.ShouldSerialize("Timeout") && known.Timeout is < 1 or > 60)
            return "takes a 'Timeout' from 1 to 60 seconds: without an end a database that hangs would hang every client.";
        if (known.ShouldSerialize("Maximum Pool Size") && known.MaxPoolSize < MinPool)
            return $"takes a 'Maximum Pool Size' of {MinPool} and more: with fewer the server waits for itself.";
        if (known.ShouldSerialize("Minimum Pool Size") && known.ShouldSerialize("Maximum Pool Size") && known.MinPoolSize > known.MaxPoolSize)
            return "has a 'Minimum Pool Size' above its 'Maximum Pool Size'.";
        return null;
    }

    /// <summary>Of <c>ConnectionStrings:Redis</c>.</summary>
    public static string? ValidateRedis(string text)
    {
        // Each by itself, because the library says of the whole no more than that it cannot be read.
        foreach (var option in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(part => part.Contains('=', StringComparison.Ordinal) && part[0] != '$'))
        {
            var keyword = option[..option.IndexOf('=', StringComparison.Ordinal)].Trim();
            if (!CanRead($"host:1,{option}"))
            {
                return RedisKeywords.Contains(keyword, StringComparer.OrdinalIgnoreCase)
                    ? $"is malformed: it takes another value for '{keyword}'."
                    : Unknown(keyword, RedisKeywords);
            }
        }

        return text.Contains("://", StringComparison.Ordinal) || !CanRead(text) ? RedisForm : null;

        static bool CanRead(string connection)
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
        $"is malformed: '{Shown(keyword)}' is unknown{(Nearest.Of(keyword, known) is { } near ? $"; did you mean '{near}'?" : ".")}";

    // A secret with a comma or a semicolon in it falls apart into what looks like keywords.
    private static string Shown(string keyword) => Word().IsMatch(keyword) ? keyword : "…";

    private static IEnumerable<string> PostgresKeywords() => typeof(NpgsqlConnectionStringBuilder).GetProperties()
        .Select(property => property.GetCustomAttribute<DisplayNameAttribute>()?.DisplayName)
        .OfType<string>();

    [GeneratedRegex("^[A-Za-z][A-Za-z ]{1,39}$")]
    private static partial Regex Word();
}
