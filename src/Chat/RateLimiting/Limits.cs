namespace Chat.RateLimiting;

/// <summary>
/// Every limit of the server, in one place; configuration section <c>Limits</c>. Clients learn those that concern them from
/// <c>auth_success</c>.
/// </summary>
public sealed class Limits
{
    /// <summary>Bytes per frame, over all fragments; beyond it 1009. Also limits REST bodies.</summary>
    public int MaxFrameBytes { get; set; } = 64 * 1024;

    /// <summary>Empty fragments per frame, which no byte limit would stop; beyond it 1009.</summary>
    public int MaxEmptyFragments { get; set; } = 64;

    /// <summary>Characters (Unicode scalar values) of a message's content after trimming.</summary>
    public int MaxContentLength { get; set; } = 4000;

    /// <summary>Connections per node; beyond it 1013.</summary>
    public int MaxConnections { get; set; } = 100_000;

    /// <summary>Connections per user and node; beyond it 1013.</summary>
    public int MaxConnectionsPerUser { get; set; } = 100;

    /// <summary>Connections per address and node; beyond it 1013. Behind a proxy all come from one address.</summary>
    public int MaxConnectionsPerAddress { get; set; } = 100_000;

    /// <summary>
    /// Unauthenticated connections per node; beyond it handshakes get a 503. A quarter is reserved for handshakes that carry a
    /// token.
    /// </summary>
    public int MaxUnauthenticated { get; set; } = 10_000;

    /// <summary>
    /// TCP connections per node that carry no WebSocket; beyond it the one idle for longest is aborted. At most half of the
    /// available file descriptors.
    /// </summary>
    public int MaxHttpConnections { get; set; } = 10_000;

    /// <summary>
    /// The share of <see cref="MaxUnauthenticated"/>, <see cref="HandshakesPerSecond"/> and <see cref="MaxHttpConnections"/>
    /// that one address (of IPv6 a /64) may use, in percent. Behind an unknown proxy all come from one address.
    /// </summary>
    public int AddressShare { get; set; } = 25;

    /// <summary>
    /// Handshakes per second and node, with a burst of twice as many; beyond it 503. A quarter is reserved for handshakes that
    /// carry a token.
    /// </summary>
    public int HandshakesPerSecond { get; set; } = 2_000;

    /// <summary>Messages per second and connection, with a burst of twice as many; beyond it RATE_LIMITED.</summary>
    public int MessagesPerSecond { get; set; } = 100;

    /// <summary>Messages per second, user and node, over all connections and REST; burst and error as above.</summary>
    public int MessagesPerSecondPerUser { get; set; } = 200;

    /// <summary>Other events per second and connection; burst and error as above.</summary>
    public int EventsPerSecond { get; set; } = 1000;

    /// <summary>REST requests per second, user and node, with a burst of twice as many; beyond it 429.</summary>
    public int RequestsPerSecond { get; set; } = 1000;

    /// <summary>
    /// Concurrent work per user and node: REST calls, and events that query the database. Expensive calls count more than once.
    /// Further work waits in order.
    /// </summary>
    public int UserConcurrency { get; set; } = 4;

    /// <summary>REST calls and events per user and node that may wait for that; beyond it RATE_LIMITED.</summary>
    public int UserQueue { get; set; } = 256;

    /// <summary>Conversations opened per minute, user and node, with a burst of twice as many; beyond it 429.</summary>
    public int ConversationsPerMinute { get; set; } = 60;

    /// <summary>Conversations per user beyond which no further one can be opened; then LIMIT_REACHED.</summary>
    public int MaxConversations { get; set; } = 10_000;

    /// <summary>
    /// Conversations per user with users who have never signed in; beyond it NOT_FOUND. With 0, a user must sign in once before
    /// others can open a conversation with them.
    /// </summary>
    public int MaxUnknownContacts { get; set; } = 100;

    /// <summary>Users that a user may have blocked at a time.</summary>
    public int MaxBlocks { get; set; } = 1000;

    /// <summary>Events queued per connection; beyond it 4408.</summary>
    public int SendQueueEvents { get; set; } = 256;

    /// <summary>Bytes queued per connection; beyond it 4408.</summary>
    public int SendQueueBytes { get; set; } = 1024 * 1024;

    /// <summary>
    /// Client errors within <see cref="ErrorWindow"/> after which a connection is closed with 4503; server errors do not count.
    /// </summary>
    public int MaxErrors { get; set; } = 100;

    /// <summary>The window of <see cref="MaxErrors"/>.</summary>
    public TimeSpan ErrorWindow { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Deadline for the first byte of a TCP connection, which is then aborted, and for request headers; then 408.</summary>
    public TimeSpan RequestHeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Deadline for the first <c>auth</c> frame; then 4502.</summary>
    public TimeSpan AuthTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Interval of the server's pings.</summary>
    public TimeSpan PingInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time without any data from the client; then 4412.</summary>
    public TimeSpan PingTimeout { get; set; } = TimeSpan.FromSeconds(45);

    /// <summary>Timeout of a single write; then 4408.</summary>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time for a client to answer a close frame; then the connection is aborted.</summary>
    public TimeSpan CloseTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The time over which a shutdown spreads its closes, so that not all clients reconnect at once.</summary>
    public TimeSpan DrainSpread { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Messages that may wait for their commit in one shard of the log; beyond it UNAVAILABLE.</summary>
    public int LogQueue { get; set; } = 8192;

    /// <summary>Returns one address' share of a limit.</summary>
    internal int ShareOf(int all) => (int)Math.Max(1, (long)all * AddressShare / 100);

    /// <summary>Returns the part of a limit that is available without a token.</summary>
    internal static int AvailableWithoutToken(int all) => Math.Max(1, all - (all / 4));
}
