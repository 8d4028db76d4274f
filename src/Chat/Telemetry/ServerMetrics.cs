using System.Diagnostics.Metrics;
using Chat.RateLimiting;

namespace Chat.Telemetry;

/// <summary>
/// Everything that the server measures of itself, each instrument in one place with its name, unit and meaning; what to
/// do about each is in docs/operations.md. The meter is made by the host's factory, so that several nodes in one process
/// do not mix. On the message path nothing is allocated, and while nobody listens nothing is measured.
/// </summary>
public sealed class ServerMetrics
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Chat";

    /// <summary>The outcome of an event that was not refused.</summary>
    public const string Ok = "ok";

    /// <summary>Stands for every event that nobody handles: what clients make up must not become a time series each.</summary>
    public const string UnknownEvent = "unknown";

    // From well under a fast commit to the 5 s within which everything is answered.
    private static readonly InstrumentAdvice<double> Seconds = new() { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] };
    private static readonly InstrumentAdvice<int> Batches = new() { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] };
    private readonly Meter meter;
    private readonly Counter<int> closes;
    private readonly Counter<int> refusedHandshakes;
    private readonly Counter<int> limits;
    private readonly Counter<int> refusedTokens;
    private readonly Histogram<double> events;
    private readonly Counter<int> committed;
    private readonly Counter<int> repeated;
    private readonly Counter<int> unavailable;
    private readonly Histogram<double> commits;
    private readonly Histogram<int> batches;
    private readonly Gauge<int> sendQueues;
    private readonly Gauge<int> longestSendQueue;
    private readonly Counter<int> dropped;
    private readonly Counter<int> repairs;
    private readonly Counter<int> interruptions;
    private readonly Counter<int> transitions;
    private readonly Gauge<double> health;
    private readonly Gauge<double> clock;

    /// <summary>Made once a node.</summary>
    public ServerMetrics(IMeterFactory meters)
    {
        meter = meters.Create(MeterName);
        closes = meter.CreateCounter<int>("chat.connections.closed", "{connection}", "Connections that have ended, by close code.");
        refusedHandshakes = meter.CreateCounter<int>("chat.handshakes.refused", "{handshake}", "Handshakes that were answered 503, by reason.");
        limits = meter.CreateCounter<int>("chat.limits.hit", "{hit}", "Times that a limit was enforced, by the setting that holds it.");
        refusedTokens = meter.CreateCounter<int>("chat.tokens.refused", "{token}", "Tokens that were refused, on the socket and over REST, by reason.");
        events = meter.CreateHistogram("chat.event.duration", "s", "Time from a client's event to the end of its handler, by event and outcome.", advice: Seconds);
        committed = meter.CreateCounter<int>("chat.messages.committed", "{message}", "Messages that were stored.");
        repeated = meter.CreateCounter<int>("chat.messages.repeated", "{message}", "Sends that were answered with the message of an earlier try.");
        unavailable = meter.CreateCounter<int>("chat.messages.unavailable", "{message}", "Sends that were answered UNAVAILABLE.");
        commits = meter.CreateHistogram("chat.log.commit.duration", "s", "Time of a batch's transaction, from its begin to its commit.", advice: Seconds);
        batches = meter.CreateHistogram("chat.log.batch.size", "{message}", "Messages in one transaction.", advice: Batches);
        sendQueues = meter.CreateGauge<int>("chat.send_queue.length", "{event}", "Events that wait to be written, over all connections.");
        longestSendQueue = meter.CreateGauge<int>("chat.send_queue.longest", "{event}", "Events that wait for the connection with the most.");
        dropped = meter.CreateCounter<int>("chat.send_queue.dropped", "{event}", "Typing and presence events that were left out for slow readers.");
        repairs = meter.CreateCounter<int>("chat.delivery.repaired", "{change}", "Changes that came from the database because nothing else brought them, by what missed them.");
        interruptions = meter.CreateCounter<int>("chat.redis.interruptions", "{interruption}", "Connections to Redis that were lost.");
        transitions = meter.CreateCounter<int>("chat.presence.transitions", "{transition}", "People who came or went, as this node found out first, by which.");
        health = meter.CreateGauge<double>("chat.health", "{state}", "Whether a part of readiness is as it should be, by part: 1; 0.5 if it is degraded, 0 if it is not.");
        clock = meter.CreateGauge<double>("chat.clock.difference", "s", "How far this node's clock is ahead of PostgreSQL's.");
    }

    /// <summary>Whether anybody wants to know how long events take.</summary>
    public bool WantsEvents => events.Enabled;

    /// <summary>How connections are counted: those with a token and those without one yet.</summary>
    public void ObserveConnections(Func<(int Authenticated, int Unauthenticated)> count) => meter.CreateObservableUpDownCounter(
        "chat.connections",
        () =>
        {
            var (authenticated, unauthenticated) = count();
            return (Measurement<int>[])[new(authenticated, new KeyValuePair<string, object?>("state", "authenticated")), new(unauthenticated, new KeyValuePair<string, object?>("state", "unauthenticated"))];
        },
        "{connection}",
        "Open connections, by whether they have shown a token.");

    /// <summary>How the messages that wait for their commit are counted.</summary>
    public void ObserveLogQueue(Func<int> count) =>
        meter.CreateObservableUpDownCounter("chat.log.queue.length", count, "{message}", "Messages that wait for their commit.");

    /// <summary>How many connections fit this node: the setting, or what its file descriptors allow.</summary>
    public void ObserveConnectionLimit(Func<long> limit) =>
        meter.CreateObservableGauge("chat.connections.limit", limit, "{connection}", "Connections that this node takes, by its setting and its file descriptors.");

    /// <summary>How long PostgreSQL and Redis have been unavailable.</summary>
    public void ObserveOutages(Func<TimeSpan> postgres, Func<TimeSpan> redis) => meter.CreateObservableGauge(
        "chat.outage.duration",
        () => (Measurement<double>[])[new(postgres().TotalSeconds, new KeyValuePair<string, object?>("dependency", "postgres")), new(redis().TotalSeconds, new KeyValuePair<string, object?>("dependency", "redis"))],
        "s",
        "For how long a dependency has been unavailable; 0 while it is available.");

    /// <summary>How what waits for a turn of its user's is counted.</summary>
    public void ObserveQueuedWork(Func<int> count) =>
        meter.CreateObservableUpDownCounter("chat.work.waiting", count, "{call}", "REST calls and events that wait for others of their own user's.");

    /// <summary>How the users are counted whose connections this node delivers to.</summary>
    public void ObserveFeeds(Func<int> count) =>
        meter.CreateObservableUpDownCounter("chat.delivery.feeds", count, "{user}", "Users whose connections this node delivers to.");

    /// <summary>A connection has ended.</summary>
    /// <param name="code">The close code; 1006 if there was none.</param>
    public void ConnectionClosed(int code) => closes.Add(1, new KeyValuePair<string, object?>("code", code));

    /// <summary>A handshake was answered 503.</summary>
    public void HandshakeRefused(string reason) => refusedHandshakes.Add(1, new KeyValuePair<string, object?>("reason", reason));

    /// <summary>A limit was enforced.</summary>
    /// <param name="setting">The property of <see cref="Limits"/> that holds it.</param>
    public void LimitHit(string setting) => limits.Add(1, new KeyValuePair<string, object?>("limit", setting));

    /// <summary>A token was refused.</summary>
    public void TokenRefused(string reason) => refusedTokens.Add(1, new KeyValuePair<string, object?>("reason", reason));

    /// <summary>An event was handled to its end.</summary>
    public void EventHandled(string name, string outcome, TimeSpan took) => events.Record(
        took.TotalSeconds,
        new KeyValuePair<string, object?>("event", name),
        new KeyValuePair<string, object?>("outcome", outcome));

    /// <summary>A batch of the log was committed.</summary>
    /// <param name="size">How many drafts were in it.</param>
    /// <param name="stored">How many of them were stored now.</param>
    /// <param name="again">How many had been stored before.</param>
    /// <param name="took">From the begin of the transaction to its commit.</param>
    public void Committed(int size, int stored, int again, TimeSpan took)
    {
        commits.Record(took.TotalSeconds);
        batches.Record(size);
        committed.Add(stored);
        if (again > 0)
            repeated.Add(again);
    }

    /// <summary>Sends were answered UNAVAILABLE.</summary>
    public void SendsUnavailable(int count) => unavailable.Add(count);

    /// <summary>What waits to be written, as the heartbeat found it.</summary>
    public void RecordSendQueues(int total, int longest)
    {
        sendQueues.Record(total);
        longestSendQueue.Record(longest);
    }

    /// <summary>A droppable event was left out.</summary>
    public void FrameDropped() => dropped.Add(1);

    /// <summary>Changes were fetched that a gap in the numbers has shown to be missing.</summary>
    public void GapRepaired(int count) => repairs.Add(count, new KeyValuePair<string, object?>("by", "gap"));

    /// <summary>Changes were fetched that only the position check has found.</summary>
    public void PositionRepaired(int count) => repairs.Add(count, new KeyValuePair<string, object?>("by", "position_check"));

    /// <summary>A receipt was told that only the check of cursors has found.</summary>
    public void ReceiptRepaired() => repairs.Add(1, new KeyValuePair<string, object?>("by", "receipt_check"));

    /// <summary>A connection to Redis was lost.</summary>
    public void RedisConnectionLost() => interruptions.Add(1);

    /// <summary>Somebody came or went.</summary>
    public void PresenceChanged(bool isOnline) => transitions.Add(1, new KeyValuePair<string, object?>("to", isOnline ? "online" : "offline"));

    /// <summary>This node's clock was compared with PostgreSQL's.</summary>
    public void RecordClockDifference(TimeSpan ahead) => clock.Record(ahead.TotalSeconds);

    /// <summary>A part of readiness was looked at.</summary>
    /// <param name="part">Its name.</param>
    /// <param name="state">1 if it is well, 0.5 if it is degraded, 0 if it is not.</param>
    public void RecordHealth(string part, double state) => health.Record(state, new KeyValuePair<string, object?>("check", part));
}
