using System.Text.RegularExpressions;
using Chat.Edge;

namespace Chat.Settings;

/// <summary>
/// Every setting that the server reads. What is not here is refused at the start, with the nearest name that is; and
/// README's table is written from here (CONTRIBUTING says how).
/// </summary>
internal static partial class SettingsCatalog
{
    private const int Many = 1_000_000_000;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    /// <summary>All of them, in the order of README's table.</summary>
    public static readonly Setting[] All =
    [
        Setting.Secret("ConnectionStrings:Postgres", "Development: the embedded one", "Npgsql's form: `Host=…;Username=…;Password=…;Database=…`", ConnectionStringValidator.ValidatePostgres),
        Setting.Secret("ConnectionStrings:Redis", "Development: the embedded one", "StackExchange.Redis' form: `host:port,password=…`", ConnectionStringValidator.ValidateRedis),
        Setting.Text("Jwt:Authority", "", "the issuer's address; its published keys are used. https, or http on the loopback"),
        Setting.Secret("Jwt:Key", "Development: made at the first start", "or a secret shared with the issuer, at least 32 bytes: HS256"),
        Setting.Secret("Jwt:PreviousKey", "", "the shared secret before it, accepted as well while a new one is rolled out"),
        Setting.Text("Jwt:Issuer", "Development: `chat-dev`", "the `iss` that a token must carry"),
        Setting.Text("Jwt:Audience", "Development: `chat`", "the `aud` that a token must carry"),
        Setting.Choice("Jwt:Subjects", "uuid", ["uuid", "any"], "which `sub` names a user: a UUID alone, or any text, of which a name-based UUID is made (RFC 9562, version 5)"),
        Setting.Text("Jwt:SubjectNamespace", "made from `Jwt:Issuer`", "the namespace of name-based ids, a UUID of your own; set it before an issuer's address changes, never later",
            text => Guid.TryParse(text, out var id) && id != Guid.Empty ? null : "is not a UUID of your own."),
        Setting.Choice("Directory:Names", "first", ["first", "latest"], "who has a username that two users' tokens claim: whose came first, or whose was issued last"),
        Setting.Text("Origins:Allowed", "empty", "the web pages that may use the server from a browser, besides its own: `https://app.example`, with commas between several", Origins.Validate),
        Setting.Text("Proxies:Known", "empty", "addresses or networks of the load balancers whose `X-Forwarded-For` and `-Proto` are believed: `10.0.0.0/8`", Proxies.Validate),
        Setting.Text("Web:ClientId", "", "signs people in on the page by OpenID Connect: the page's id at `Jwt:Authority` (a public client, code flow with PKCE, redirect to the page's address `/`)"),
        Setting.Text("Web:Scope", "`openid profile`", "what it asks for; with `offline_access` it renews tokens without asking people again",
            text => text.Split(' ').Contains("openid") ? null : "must contain openid, or no issuer signs anybody in by OpenID Connect."),
        Setting.Text("PathBase", "", "the path below which a proxy shows the server: `/team` for `https://example.org/team/`, whether the proxy passes it on or takes it off", PathPrefix.Validate),
        Setting.Text("AllowedHosts", "empty; Development: the loopback's names", "the host names that are answered, with `;` between several; others get 400, in Development 421", LocalHosts.Validate),
        Setting.Choice("Docs:Enabled", "true", ["true", "false"], "whether there are `/docs` and `/openapi/v1.json`"),
        Setting.Text("Storage:Schema", "`chat`", "the schema in PostgreSQL",
            // It becomes a part of SQL statements.
            text => SchemaName().IsMatch(text) ? null : "takes 1 to 63 lower-case letters, digits and _, and starts with a letter."),
        Setting.Time("Storage:StartTimeout", TimeSpan.FromSeconds(30), Second, Hour, "how long a start waits for PostgreSQL"),
        Setting.Text("Redis:Prefix", "empty", "in front of every key and channel, to share one Redis",
            text => Prefix().IsMatch(text) ? null : "takes up to 64 letters, digits and the characters . _ : and -."),
        Setting.Text("Admin:Port", "`9464`; Development: `0`", "the port of `/metrics`, for Prometheus, and of the [operator's calls](docs/operations.md#the-admin-port); 0 for none", AdminSettings.ValidatePort),
        Setting.Text("Admin:Address", "`127.0.0.1`", "the address of that port; beyond the loopback it serves metrics and health alone until `Admin:Token` is set", AdminSettings.ValidateAddress),
        Setting.Secret("Admin:Token", "", "what a caller of that port must show for all else, at least 16 characters", AdminSettings.ValidateToken),
        Setting.Fraction("Audit:ConnectionEnds", 1, 0, 1, "the share of connections whose end gets a line in the audit log"),
        Setting.Text("Secrets:Directory", "", "a directory of files, each with the value of the setting that it is named after, such as `Jwt__Key`: for what is mounted as a secret"),
        Setting.Text("OTEL_EXPORTER_OTLP_ENDPOINT", "", "where metrics, traces and logs go by OTLP; see [docs/operations.md](docs/operations.md#where-it-goes)"),
        Setting.Text("Embedded:DataPath", "`.data`", "where Development keeps its data, from the content root"),
        Setting.Number("Limits:MaxFrameBytes", 64 * 1024, 4096, 64 * 1024 * 1024, "a frame's or a REST body's bytes"),
        Setting.Number("Limits:MaxEmptyFragments", 64, 1, 1_000_000, "empty fragments of one frame"),
        Setting.Number("Limits:MaxContentLength", 4000, 1, 1_000_000, "characters of a message; a frame must hold them at 12 bytes each (JSON's escapes) and 1024 more"),
        Setting.Number("Limits:MaxConnections", 100_000, 1, 10_000_000, "connections to one node; fewer where `ulimit -n` does not allow as many"),
        Setting.Number("Limits:MaxConnectionsPerUser", 100, 1, 10_000_000, "of one user to one node"),
        Setting.Number("Limits:MaxConnectionsPerAddress", 100_000, 1, 10_000_000, "from one address to one node; behind a proxy that is not in `Proxies:Known` all come from one"),
        Setting.Number("Limits:MaxUnauthenticated", 10_000, 1, 10_000_000, "connections to one node without a token yet; a quarter is kept for handshakes that carry one"),
        Setting.Number("Limits:MaxHttpConnections", 10_000, 1, 10_000_000, "TCP connections to one node without a WebSocket, at most half of what `ulimit -n` allows; past it the one that has been silent for longest is cut"),
        Setting.Number("Limits:AddressShare", 25, 1, 100, "percent of `Limits:MaxUnauthenticated`, `Limits:HandshakesPerSecond` and `Limits:MaxHttpConnections` that one address (of IPv6 a /64) may take; 100 behind a proxy that is not in `Proxies:Known`"),
        Setting.Number("Limits:HandshakesPerSecond", 2_000, 1, 1_000_000, "that a node answers, over a burst of twice as many; a quarter is kept for those that carry a token"),
        Setting.Number("Limits:MessagesPerSecond", 100, 1, 1_000_000, "sends a second of one connection, over a burst of twice as many"),
        Setting.Number("Limits:RequestsPerSecond", 1000, 1, 1_000_000, "REST requests a second of one user to one node, over a burst of twice as many"),
        Setting.Number("Limits:UserConcurrency", 4, 1, 1000, "of one user's REST calls and events that ask the database, carried out at a time by one node; what may bring much counts for several, the rest waits"),
        Setting.Number("Limits:UserQueue", 256, 1, 1_000_000, "of them that may wait"),
        Setting.Number("Limits:ConversationsPerMinute", 60, 1, 1_000_000, "that a user may open on one node, over a burst of twice as many"),
        Setting.Number("Limits:MaxConversations", 10_000, 1, 1_000_000, "with which a user may open further ones"),
        Setting.Number("Limits:MaxUnknownContacts", 100, 0, 1_000_000, "conversations of a user's with people who have never signed in; further ones are `NOT_FOUND`"),
        Setting.Number("Limits:MaxBlocks", 1000, 1, 1_000_000, "people that a user may have blocked"),
        Setting.Number("Limits:MessagesPerSecondPerUser", 200, 1, 1_000_000, "sends a second of one user to one node, over all connections and REST; the same burst"),
        Setting.Number("Limits:EventsPerSecond", 1000, 1, 1_000_000, "events of any other kind a second of one connection; the same burst"),
        Setting.Number("Limits:SendQueueEvents", 256, 8, 1_000_000, "events that may wait for one connection"),
        Setting.Number("Limits:SendQueueBytes", 1024 * 1024, 4096, Many, "bytes that may wait for one connection; at least `Limits:MaxFrameBytes`"),
        Setting.Number("Limits:MaxErrors", 100, 1, 1_000_000, "errors of the client's within `Limits:ErrorWindow` that close a connection"),
        Setting.Time("Limits:ErrorWindow", TimeSpan.FromSeconds(10), Second, Hour, ""),
        Setting.Time("Limits:RequestHeadersTimeout", TimeSpan.FromSeconds(10), Second, Hour, "for the first byte of a TCP connection, and for the head of a request"),
        Setting.Time("Limits:AuthTimeout", TimeSpan.FromSeconds(10), Second, Hour, "for the token"),
        Setting.Time("Limits:PingInterval", TimeSpan.FromSeconds(30), Second, Hour, "between the server's pings"),
        Setting.Time("Limits:PingTimeout", TimeSpan.FromSeconds(45), Second * 2, Hour * 2, "without a sign of life; at least two seconds longer than `Limits:PingInterval`, and like it whole seconds"),
        Setting.Time("Limits:WriteTimeout", TimeSpan.FromSeconds(10), Second, Minute * 5, "for one write"),
        Setting.Time("Limits:CloseTimeout", TimeSpan.FromSeconds(5), Second, Minute * 5, "for a client's answer to a close"),
        Setting.Time("Limits:DrainSpread", TimeSpan.FromSeconds(3), Second / 10, Second * 20, "over which a stop spreads its closes"),
        Setting.Number("Limits:LogQueue", 8192, 1, 1_000_000, "messages that may wait for their commit, in each of the two loops"),
    ];

    /// <summary>The one of this name; null if there is none.</summary>
    public static Setting? Find(string name) => Array.Find(All, setting => setting.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    [GeneratedRegex("^[a-z][a-z0-9_]{0,62}$")]
    private static partial Regex SchemaName();

    [GeneratedRegex("^[A-Za-z0-9._:-]{0,64}$")]
    private static partial Regex Prefix();
}
