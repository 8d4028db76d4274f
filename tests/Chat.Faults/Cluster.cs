using System.Globalization;
using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Faults;

/// <summary>A user.</summary>
internal sealed record User(Guid Id, string Name);

/// <summary>
/// A complete installation: several nodes, one PostgreSQL, one Redis, and a proxy between each node and each of them, so that
/// a single node can be partitioned from either.
/// </summary>
internal sealed class Cluster(
    IReadOnlyList<ChatNode> nodes, PostgresServer postgres, RedisServer redis, IReadOnlyList<FaultProxy> toPostgres,
    IReadOnlyList<FaultProxy> toRedis) : IAsyncDisposable
{
    public const string Prefix = "faults:";
    private const string Key = "a key for tokens of a bench, of which nobody depends: 7f3k29";
    private const string Issuer = "chat-faults";

    public IReadOnlyList<ChatNode> Nodes => nodes;

    public PostgresServer Postgres => postgres;

    public RedisServer Redis => redis;

    /// <summary>The proxy of the node with the same index.</summary>
    public IReadOnlyList<FaultProxy> ToPostgres => toPostgres;

    /// <summary>The proxy of the node with the same index.</summary>
    public IReadOnlyList<FaultProxy> ToRedis => toRedis;

    /// <summary>The Production settings of a node; failpoints require another environment, which changes nothing else.</summary>
    public static Dictionary<string, string> Settings(string postgres, string redis, bool hasFailpoints = false, int adminPort = 0) => new()
    {
        [ChatNode.AdminPort] = adminPort.ToString(CultureInfo.InvariantCulture),
        ["ASPNETCORE_ENVIRONMENT"] = hasFailpoints ? "Staging" : "Production",
        ["DOTNET_ENVIRONMENT"] = hasFailpoints ? "Staging" : "Production",
        ["ConnectionStrings__Postgres"] = postgres,
        ["ConnectionStrings__Redis"] = redis,
        ["Redis__Prefix"] = Prefix,
        ["Jwt__Key"] = Key,
        ["Jwt__Issuer"] = Issuer,
        ["Jwt__Audience"] = Issuer,
        // The defaults are sized for people. Here a few devices stand for many, all from one address, which may use only a quarter.
        ["Limits__MessagesPerSecond"] = "1000",
        ["Limits__MessagesPerSecondPerUser"] = "2000",
        ["Limits__HandshakesPerSecond"] = "8000",
        ["Limits__MaxUnauthenticated"] = "40000",
    };

    /// <summary>Creates a token as the application would.</summary>
    public static string TokenFor(User user) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = Issuer,
        Audience = Issuer,
        NotBefore = DateTime.UtcNow.AddHours(-3),
        IssuedAt = DateTime.UtcNow.AddHours(-3),
        Expires = DateTime.UtcNow.AddHours(12),
        Claims = new Dictionary<string, object> { ["sub"] = user.Id.ToString(), ["preferred_username"] = user.Name },
        SigningCredentials = new SigningCredentials(new SymmetricSecurityKey(Encoding.UTF8.GetBytes(Key)), SecurityAlgorithms.HmacSha256),
    });

    /// <summary>Returns how many sockets a node holds, as counted by the system.</summary>
    public static int ConnectionsTo(ChatNode node) => Established(node.Port).Count;

    /// <summary>Returns whether the server's side of a connection exists.</summary>
    public static bool IsEstablished(int serverPort, int clientPort) =>
        Established(serverPort).Exists(remote => remote.EndsWith(Hex(clientPort), StringComparison.Ordinal));

    // The connections to a port as listed by the kernel: address and port in hexadecimal digits, and the state.
    private static List<string> Established(int port) => File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6"))
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(fields => fields[1].EndsWith(Hex(port), StringComparison.Ordinal) && fields[3] == "01")
        .Select(fields => fields[2])
        .ToList();

    private static string Hex(int port) => string.Create(CultureInfo.InvariantCulture, $":{port:X4}");

    public async ValueTask DisposeAsync()
    {
        foreach (var node in nodes)
            await node.DisposeAsync();
        await redis.DisposeAsync();
        await postgres.DisposeAsync();
        foreach (var proxy in toPostgres.Concat(toRedis))
            await proxy.DisposeAsync();
    }
}
