using System.Net;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>
/// Connections that leave this machine with nothing to protect them. They work, and a network of one's own may be protection enough,
/// so they are told of and not refused: who can publish in Redis speaks for every user, and PostgreSQL holds all that was said.
/// </summary>
internal static partial class ExposedConnections
{
    /// <summary>Says at the start what there is, a line for each of the two.</summary>
    public static void Warn(IConfiguration configuration, ILogger log)
    {
        foreach (var (name, places, lacks) in Find(configuration))
            Exposed(log, name, places, lacks);
    }

    /// <summary>Which of the two reaches beyond the loopback, where to, and without what.</summary>
    internal static IEnumerable<(string Name, string Places, string Lacks)> Find(IConfiguration configuration)
    {
        var postgres = new NpgsqlConnectionStringBuilder(configuration.GetConnectionString("Postgres"));
        // A path is a socket of this machine.
        var hosts = (postgres.Host ?? "").Split(',').Where(host => !host.StartsWith('/') && !host.StartsWith('@') && !IsLoopback(HostOf(host))).ToArray();
        var hasSecret = !string.IsNullOrEmpty(postgres.Password) || !string.IsNullOrEmpty(postgres.Passfile) || !string.IsNullOrEmpty(postgres.SslCertificate);
        // Less than that goes on without TLS wherever the other side, or somebody in between, says that there is none.
        if (hosts.Length > 0 && Lacks(hasSecret, postgres.SslMode >= SslMode.Require, "TLS (SSL Mode=Require at least)") is { } postgresLacks)
            yield return ("PostgreSQL", string.Join(", ", hosts), postgresLacks);

        var redis = ConfigurationOptions.Parse(configuration.GetConnectionString("Redis")!);
        var places = redis.EndPoints.Where(place => !IsLocal(place)).Select(place => place is DnsEndPoint named ? named.Host : $"{place}").ToArray();
        if (places.Length > 0 && Lacks(!string.IsNullOrEmpty(redis.Password), redis.Ssl, "TLS (ssl=true)") is { } redisLacks)
            yield return ("Redis", string.Join(", ", places), redisLacks);
    }

    private static string? Lacks(bool hasSecret, bool isEncrypted, string encryption) => (hasSecret, isEncrypted) switch
    {
        (true, true) => null,
        (false, true) => "a password",
        (true, false) => encryption,
        _ => $"a password and {encryption}",
    };

    private static bool IsLocal(EndPoint place) => place switch
    {
        IPEndPoint address => IPAddress.IsLoopback(address.Address),
        DnsEndPoint named => IsLoopback(named.Host),
        _ => true,
    };

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    // Npgsql takes a port of its own for each host.
    private static string HostOf(string host) => IPEndPoint.TryParse(host, out var address) ? $"{address.Address}" : host.Split(':')[0];

    [LoggerMessage(105, LogLevel.Warning, "{Server} at {Places} is reached without {Lacks}: whoever is on the way may read and change everything. See SECURITY.md")]
    private static partial void Exposed(ILogger log, string server, string places, string lacks);
}
