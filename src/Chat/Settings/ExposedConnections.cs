using System.Net;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>
/// Finds unprotected connections that leave this machine. They are logged and not rejected, since a private network may be
/// protection enough; but who can publish to Redis can impersonate every user, and PostgreSQL holds all messages.
/// </summary>
internal static partial class ExposedConnections
{
    /// <summary>Logs a warning for each of the two servers.</summary>
    public static void Warn(IConfiguration configuration, ILogger log)
    {
        foreach (var (name, addresses, lacks) in Find(configuration))
            Exposed(log, name, addresses, lacks);
    }

    /// <summary>Returns which of the two is reached beyond the loopback, where, and without which protection.</summary>
    internal static IEnumerable<(string Name, string Places, string Lacks)> Find(IConfiguration configuration)
    {
        var postgres = new NpgsqlConnectionStringBuilder(configuration.GetConnectionString("Postgres"));
        // A path is a Unix socket.
        var hosts = (postgres.Host ?? "").Split(',')
            .Where(host => !host.StartsWith('/') && !host.StartsWith('@') && !IsLoopback(HostOf(host))).ToArray();
        var hasSecret = !string.IsNullOrEmpty(postgres.Password)
            || !string.IsNullOrEmpty(postgres.Passfile) || !string.IsNullOrEmpty(postgres.SslCertificate);
        // Weaker modes fall back to plain text if the server, or someone in between, says that there is no TLS.
        if (hosts.Length > 0
            && Lacks(hasSecret, postgres.SslMode >= SslMode.Require, "TLS (SSL Mode=Require at least)") is { } postgresLacks)
            yield return ("PostgreSQL", string.Join(", ", hosts), postgresLacks);

        var redis = ConfigurationOptions.Parse(configuration.GetConnectionString("Redis")!);
        var addresses = redis.EndPoints.Where(endpoint => !IsLocal(endpoint))
            .Select(endpoint => endpoint is DnsEndPoint dns ? dns.Host : $"{endpoint}").ToArray();
        if (addresses.Length > 0 && Lacks(!string.IsNullOrEmpty(redis.Password), redis.Ssl, "TLS (ssl=true)") is { } redisLacks)
            yield return ("Redis", string.Join(", ", addresses), redisLacks);
    }

    private static string? Lacks(bool hasSecret, bool isEncrypted, string encryption) => (hasSecret, isEncrypted) switch
    {
        (true, true) => null,
        (false, true) => "a password",
        (true, false) => encryption,
        _ => $"a password and {encryption}",
    };

    private static bool IsLocal(EndPoint endpoint) => endpoint switch
    {
        IPEndPoint address => IPAddress.IsLoopback(address.Address),
        DnsEndPoint dns => IsLoopback(dns.Host),
        _ => true,
    };

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    // Npgsql allows a port per host.
    private static string HostOf(string host) => IPEndPoint.TryParse(host, out var address) ? $"{address.Address}" : host.Split(':')[0];

    [LoggerMessage(105, LogLevel.Warning,
        "{Server} at {Places} is reached without {Lacks}; its traffic can be read and modified in transit. See SECURITY.md")]
    private static partial void Exposed(ILogger log, string server, string places, string lacks);
}
