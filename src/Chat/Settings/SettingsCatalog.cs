using System.Text.RegularExpressions;
using Chat.Edge;

namespace Chat.Settings;

/// <summary>
/// Every setting of the server. Unknown settings are rejected at startup, with the nearest known name as a suggestion; and
/// README's table is generated from here (see CONTRIBUTING).
/// </summary>
internal static partial class SettingsCatalog
{
    private const int Many = 1_000_000_000;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    /// <summary>All settings, in the order of README's table.</summary>
    public static readonly Setting[] All =
    [
        Setting.Secret("ConnectionStrings:Postgres", "Development: the embedded one",
            "PostgreSQL, in Npgsql's format: `Host=…;Username=…;Password=…;Database=…`", ConnectionStringValidator.ValidatePostgres),
        Setting.Secret("ConnectionStrings:Redis", "Development: the embedded one",
        "Redis, in StackExchange.Redis' format: `host:port,password=…`", ConnectionStringValidator.ValidateRedis),
        Setting.Text("Jwt:Authority", "", "the issuer's address, whose published keys are used; https, or http on loopback"),
        Setting.Secret("Jwt:Key", "Development: generated at the first start",
        "alternatively, a secret of at least 32 bytes shared with the issuer (HS256)"),
        Setting.Secret("Jwt:PreviousKey", "", "the previous shared secret, still accepted while a new one is rolled out"),
        Setting.Text("Jwt:Issuer", "Development: `chat-dev`", "the required `iss` of tokens"),
        Setting.Text("Jwt:Audience", "Development: `chat`", "the required `aud` of tokens"),
        Setting.Choice("Jwt:Subjects", "uuid", ["uuid", "any"],
        "which `sub` claims are accepted: UUIDs only, or any text, which is mapped to a name-based UUID (RFC 9562, version 5)"),
        Setting.Text("Jwt:SubjectNamespace", "derived from `Jwt:Issuer`",
        "the namespace of name-based ids, a UUID of your own; set it before the issuer's address changes, never after",
            text => Guid.TryParse(text, out var id) && id != Guid.Empty ? null : "is not a UUID."),
        Setting.Choice("Directory:Names", "first", ["first", "latest"],
        "who owns a username claimed by the tokens of two users: the first to claim it, or the one with the latest token"),
        Setting.Text(
            "Origins:Allowed", "empty",
            "the origins, besides its own, whose web pages may use the server: `https://app.example`, separated by commas",
            Origins.Validate),
        Setting.Text("Proxies:Known", "empty",
        "addresses or networks of the load balancers whose `X-Forwarded-For` and `-Proto` are trusted: `10.0.0.0/8`", Proxies.Validate),
        Setting.Text(
            "Web:ClientId", "",
            "enables OpenID Connect on the page: its client id at `Jwt:Authority` (a public client, code flow with PKCE, redirect to the page's address `/`)"),
        Setting.Text(
            "Web:Scope", "`openid profile`", "the scopes it requests; with `offline_access` it renews tokens without a new sign-in",
            text => text.Split(' ').Contains("openid") ? null : "must contain openid, which OpenID Connect requires."),
        Setting.Text(
            "PathBase", "",
            "the path under which a proxy publishes the server: `/team` for `https://example.org/team/`, whether the proxy passes it on or strips it", PathPrefix.Validate),
        Setting.Text("AllowedHosts", "empty; Development: loopback names",
        "the accepted host names, separated by `;`; others get 400, in Development 421", LocalHosts.Validate),
        Setting.Choice("Docs:Enabled", "true", ["true", "false"], "whether `/docs` and `/openapi/v1.json` are served"),
        Setting.Text("Storage:Schema", "`chat`", "the schema in PostgreSQL",
            // It is embedded in SQL statements.
            text =>
                SchemaName().IsMatch(text) ? null : "must consist of 1 to 63 lower-case letters, digits and _, and start with a letter."),
        Setting.Time("Storage:StartTimeout", TimeSpan.FromSeconds(30), Second, Hour, "how long a startup waits for PostgreSQL"),
        Setting.Text("Redis:Prefix", "empty", "a prefix for every key and channel, to share one Redis",
            text => Prefix().IsMatch(text) ? null : "must consist of at most 64 letters, digits and the characters . _ : and -."),
        Setting.Text(
            "Admin:Port", "`9464`; Development: `0`",
            "the port of `/metrics`, for Prometheus, and of the [operator's calls](docs/operations.md#the-admin-port); 0 for none",
            AdminSettings.ValidatePort),
        Setting.Text(
            "Admin:Address", "`127.0.0.1`",
            "the address of that port; beyond the loopback it serves only metrics and health unless `Admin:Token` is set",
            AdminSettings.ValidateAddress),
        Setting.Secret(
            "Admin:Token", "", "the token required for everything else on that port, at least 16 characters", AdminSettings.ValidateToken),
        Setting.Fraction("Audit:ConnectionEnds", 1, 0, 1, "the fraction of connections whose end is recorded in the audit log"),
        Setting.Text("Secrets:Directory", "",
        "a directory of files named after settings, such as `Jwt__Key`, each with its value: for mounted secrets"),
        Setting.Text("OTEL_EXPORTER_OTLP_ENDPOINT", "",
        "the OTLP endpoint for metrics, traces and logs; see [docs/operations.md](docs/operations.md#where-it-goes)"),
        Setting.Text("Embedded:DataPath", "`.data`", "where Development keeps its data, relative to the content root"),
        Setting.Number("Limits:MaxFrameBytes", 64 * 1024, 4096, 64 * 1024 * 1024, "bytes per frame or REST body"),
        Setting.Number("Limits:MaxEmptyFragments", 64, 1, 1_000_000, "empty fragments per frame"),
        Setting.Number("Limits:MaxContentLength", 4000, 1, 1_000_000,
        "characters per message; a frame must fit them at 12 bytes each (JSON escapes) and 1024 more"),
        Setting.Number("Limits:MaxConnections", 100_000, 1, 10_000_000, "connections per node; fewer if `ulimit -n` is lower"),
        Setting.Number("Limits:MaxConnectionsPerUser", 100, 1, 10_000_000, "connections per user and node"),
        Setting.Number("Limits:MaxConnectionsPerAddress", 100_000, 1, 10_000_000,
        "connections per address and node; behind a proxy missing from `Proxies:Known` all come from one address"),
        Setting.Number("Limits:MaxUnauthenticated", 10_000, 1, 10_000_000,
        "unauthenticated connections per node; a quarter is reserved for handshakes that carry a token"),
        Setting.Number(
            "Limits:MaxHttpConnections", 10_000, 1, 10_000_000,
            "TCP connections per node without a WebSocket, at most half of what `ulimit -n` allows; beyond it the one idle for longest is aborted"),
        Setting.Number(
            "Limits:AddressShare", 25, 1, 100,
            "the share of `Limits:MaxUnauthenticated`, `Limits:HandshakesPerSecond` and `Limits:MaxHttpConnections` that one address (of IPv6 a /64) may use, in percent; set 100 behind a proxy missing from `Proxies:Known`"),
        Setting.Number("Limits:HandshakesPerSecond", 2_000, 1, 1_000_000,
        "handshakes per second and node, with a burst of twice as many; a quarter is reserved for those that carry a token"),
        Setting.Number("Limits:MessagesPerSecond", 100, 1, 1_000_000, "messages per second and connection, with a burst of twice as many"),
        Setting.Number(
            "Limits:RequestsPerSecond", 1000, 1, 1_000_000, "REST requests per second, user and node, with a burst of twice as many"),
        Setting.Number(
            "Limits:UserConcurrency", 4, 1, 1000,
            "concurrent REST calls and events that query the database, per user and node; expensive ones count more than once, further ones wait"),
        Setting.Number("Limits:UserQueue", 256, 1, 1_000_000, "how many of them may wait"),
        Setting.Number("Limits:ConversationsPerMinute", 60, 1, 1_000_000,
        "conversations opened per minute, user and node, with a burst of twice as many"),
        Setting.Number("Limits:MaxConversations", 10_000, 1, 1_000_000, "conversations per user beyond which no further one can be opened"),
        Setting.Number("Limits:MaxUnknownContacts", 100, 0, 1_000_000,
        "conversations per user with users who have never signed in; beyond it `NOT_FOUND`"),
        Setting.Number("Limits:MaxBlocks", 1000, 1, 1_000_000, "users that a user may have blocked"),
        Setting.Number("Limits:MessagesPerSecondPerUser", 200, 1, 1_000_000,
        "messages per second, user and node, over all connections and REST; the same burst"),
        Setting.Number("Limits:EventsPerSecond", 1000, 1, 1_000_000, "other events per second and connection; the same burst"),
        Setting.Number("Limits:SendQueueEvents", 256, 8, 1_000_000, "events queued per connection"),
        Setting.Number("Limits:SendQueueBytes", 1024 * 1024, 4096, Many, "bytes queued per connection; at least `Limits:MaxFrameBytes`"),
        Setting.Number("Limits:MaxErrors", 100, 1, 1_000_000, "client errors within `Limits:ErrorWindow` that close a connection"),
        Setting.Time("Limits:ErrorWindow", TimeSpan.FromSeconds(10), Second, Hour, "the window of `Limits:MaxErrors`"),
        Setting.Time("Limits:RequestHeadersTimeout", TimeSpan.FromSeconds(10), Second, Hour,
        "deadline for the first byte of a TCP connection, and for request headers"),
        Setting.Time("Limits:AuthTimeout", TimeSpan.FromSeconds(10), Second, Hour, "deadline for the token"),
        Setting.Time("Limits:PingInterval", TimeSpan.FromSeconds(30), Second, Hour, "interval of the server's pings"),
        Setting.Time("Limits:PingTimeout", TimeSpan.FromSeconds(45), Second * 2, Hour * 2,
        "time without any data from the client; at least two seconds longer than `Limits:PingInterval`, both in whole seconds"),
        Setting.Time("Limits:WriteTimeout", TimeSpan.FromSeconds(10), Second, Minute * 5, "timeout of a single write"),
        Setting.Time("Limits:CloseTimeout", TimeSpan.FromSeconds(5), Second, Minute * 5, "time for a client to answer a close"),
        Setting.Time(
            "Limits:DrainSpread", TimeSpan.FromSeconds(3), Second / 10, Second * 20, "the time over which a shutdown spreads its closes"),
        Setting.Number("Limits:LogQueue", 8192, 1, 1_000_000, "messages waiting for their commit, per log shard (there are two)"),
    ];

    /// <summary>Returns the setting of this name; null if there is none.</summary>
    public static Setting? Find(string name) => Array.Find(All, setting => setting.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    [GeneratedRegex("^[a-z][a-z0-9_]{0,62}$")]
    private static partial Regex SchemaName();

    [GeneratedRegex("^[A-Za-z0-9._:-]{0,64}$")]
    private static partial Regex Prefix();
}
