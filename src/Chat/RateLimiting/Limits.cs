namespace Chat.RateLimiting;

/// <summary>
/// Every bound that the server keeps, in one place; configuration section <c>Limits</c>. A client learns those that
/// concern it from <c>auth_success</c>.
/// </summary>
public sealed class Limits
{
    /// <summary>Bytes a frame may hold, over all its fragments; more closes with 1009. Also the bound of a REST body.</summary>
    public int MaxFrameBytes { get; set; } = 64 * 1024;

    /// <summary>Empty fragments a frame may hold, which no count of bytes would ever stop; more closes with 1009.</summary>
    public int MaxEmptyFragments { get; set; } = 64;

    /// <summary>Characters (Unicode scalar values) a message's content may have after trimming.</summary>
    public int MaxContentLength { get; set; } = 4000;

    /// <summary>Connections a node holds; more are closed with 1013.</summary>
    public int MaxConnections { get; set; } = 100_000;

    /// <summary>Connections to one node that a user may have; more are closed with 1013.</summary>
    public int MaxConnectionsPerUser { get; set; } = 100;

    /// <summary>Connections to one node from one address; more are closed with 1013. Behind a proxy all come from one.</summary>
    public int MaxConnectionsPerAddress { get; set; } = 100_000;

    /// <summary>
    /// Connections to one node that have shown no token yet; more handshakes get a 503. A quarter is kept for handshakes
    /// that carry one.
    /// </summary>
    public int MaxUnauthenticated { get; set; } = 10_000;

    /// <summary>
    /// TCP connections to one node that carry no WebSocket; where there are more, the one that has been silent for longest is
    /// cut. At most half of what there are file descriptors for.
    /// </summary>
    public int MaxHttpConnections { get; set; } = 10_000;

    /// <summary>
    /// Percent of <see cref="MaxUnauthenticated"/>, <see cref="HandshakesPerSecond"/> and <see cref="MaxHttpConnections"/>
    /// that one address (of IPv6 a /64) may take. Behind a proxy that is not known all come from one.
    /// </summary>
    public int AddressShare { get; set; } = 25;

    /// <summary>
    /// Handshakes a second that a node answers, over a burst of twice as many; more get a 503. A quarter is kept for those
    /// that carry a token.
    /// </summary>
    public int HandshakesPerSecond { get; set; } = 2_000;

    /// <summary>Sends a second that a connection may make, over a burst of twice as many; more are answered RATE_LIMITED.</summary>
    public int MessagesPerSecond { get; set; } = 100;

    /// <summary>Sends a second that a user may make on one node, over all connections and REST; burst and answer as above.</summary>
    public int MessagesPerSecondPerUser { get; set; } = 200;

    /// <summary>Events of any other kind a second that a connection may make; burst and answer as above.</summary>
    public int EventsPerSecond { get; set; } = 1000;

    /// <summary>REST requests a second that a user may make to one node, over a burst of twice as many; more get a 429.</summary>
    public int RequestsPerSecond { get; set; } = 1000;

    /// <summary>
    /// Work of one user that a node does at a time: REST calls, and events that ask the database. What may bring much counts for
    /// more than one. The rest waits in order.
    /// </summary>
    public int UserConcurrency { get; set; } = 4;

    /// <summary>Calls and events of one user that may wait for that on a node; more are answered RATE_LIMITED.</summary>
    public int UserQueue { get; set; } = 256;

    /// <summary>Conversations that a user may open in a minute on one node, over a burst of twice as many; more get a 429.</summary>
    public int ConversationsPerMinute { get; set; } = 60;

    /// <summary>Conversations with which a user may open further ones; past it they get LIMIT_REACHED.</summary>
    public int MaxConversations { get; set; } = 10_000;

    /// <summary>
    /// Conversations that a user may have with people who have never signed in; further ones are NOT_FOUND. With 0, whoever is to
    /// be talked to has to sign in first.
    /// </summary>
    public int MaxUnknownContacts { get; set; } = 100;

    /// <summary>People that a user may have blocked at a time.</summary>
    public int MaxBlocks { get; set; } = 1000;

    /// <summary>Events that may wait to be written to one connection; more closes with 4408.</summary>
    public int SendQueueEvents { get; set; } = 256;

    /// <summary>Bytes that may wait to be written to one connection; more closes with 4408.</summary>
    public int SendQueueBytes { get; set; } = 1024 * 1024;

    /// <summary>Errors of the client's own inside <see cref="ErrorWindow"/> that close a connection with 4503; never the server's.</summary>
    public int MaxErrors { get; set; } = 100;

    /// <summary>See <see cref="MaxErrors"/>.</summary>
    public TimeSpan ErrorWindow { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time for the first byte of a TCP connection, which is cut then, and for the head of a request, which gets a 408.</summary>
    public TimeSpan RequestHeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time for the first <c>auth</c> frame; then 4502.</summary>
    public TimeSpan AuthTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time between two pings of the server's.</summary>
    public TimeSpan PingInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time without any sign of life; then 4412.</summary>
    public TimeSpan PingTimeout { get; set; } = TimeSpan.FromSeconds(45);

    /// <summary>Time that one write may take; then 4408.</summary>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time that a client has to answer a close before its connection is cut.</summary>
    public TimeSpan CloseTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>At a stop, the closes are spread over at most this time, so that not all come back at once.</summary>
    public TimeSpan DrainSpread { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Messages that may wait for their commit in one shard of the log; more are answered UNAVAILABLE.</summary>
    public int LogQueue { get; set; } = 8192;

    /// <summary>What one address may take of something that is for all.</summary>
    internal int ShareOf(int all) => (int)Math.Max(1, (long)all * AddressShare / 100);

    /// <summary>What is left of something for those who come without a token.</summary>
    internal static int AvailableWithoutToken(int all) => Math.Max(1, all - (all / 4));
}
