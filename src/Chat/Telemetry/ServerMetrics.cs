using System.Diagnostics.Metrics;
using Chat.RateLimiting;

namespace Chat.Telemetry;

/// <summary>
/// The server's instruments, each defined once with its name, unit and description; docs/operations.md says what to do about
/// each. The meter is created by the host's factory, so that several nodes in one process do not mix. The message path
/// allocates nothing, and while nobody listens nothing is measured.
/// </summary>
public sealed class ServerMetrics
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Chat";

    /// <summary>The outcome of a successful event.</summary>
    public const string Ok = "ok";

    /// <summary>Stands for every unknown event: names invented by clients must not become a time series each.</summary>
    public const string UnknownEvent = "unknown";

    // From well below a fast commit to the 5 s within which everything is answered.
    private static readonly InstrumentAdvice<double> Seconds =
        new() { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] };
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

    /// <summary>Creates the instruments of a node.</summary>
    public ServerMetrics(IMeterFactory meters)
    {
        meter = meters.Create(MeterName);
        closes = meter.CreateCounter<int>("chat.connections.closed", "{connection}", "Closed connections, by close code.");
        refusedHandshakes = meter.CreateCounter<int>("chat.handshakes.refused", "{handshake}", "Handshakes refused, by reason.");
        limits = meter.CreateCounter<int>("chat.limits.hit", "{hit}", "Times that a limit was enforced, by setting.");
        refusedTokens =
            meter.CreateCounter<int>("chat.tokens.refused", "{token}", "Tokens refused, on the socket and over REST, by reason.");
        events =
            meter.CreateHistogram("chat.event.duration", "s", "Time to handle a client's event, by event and outcome.", advice: Seconds);
        committed = meter.CreateCounter<int>("chat.messages.committed", "{message}", "Messages stored.");
        repeated = meter.CreateCounter<int>("chat.messages.repeated", "{message}", "Duplicate sends, answered with the stored message.");
        unavailable = meter.CreateCounter<int>("chat.messages.unavailable", "{message}", "Sends answered with UNAVAILABLE.");
        commits =
            meter.CreateHistogram("chat.log.commit.duration", "s", "Time of a batch's transaction, from begin to commit.", advice: Seconds);
        batches = meter.CreateHistogram("chat.log.batch.size", "{message}", "Messages per transaction.", advice: Batches);
        sendQueues = meter.CreateGauge<int>("chat.send_queue.length", "{event}", "Events queued, over all connections.");
        longestSendQueue = meter.CreateGauge<int>("chat.send_queue.longest", "{event}", "Events queued on the connection with the most.");
        dropped = meter.CreateCounter<int>("chat.send_queue.dropped", "{event}", "Typing and presence events dropped for slow readers.");
        repairs = meter.CreateCounter<int>("chat.delivery.repaired", "{change}",
            "Changes missed by live delivery and read from the database, by the check that found them.");
        interruptions = meter.CreateCounter<int>("chat.redis.interruptions", "{interruption}", "Lost connections to Redis.");
        transitions = meter.CreateCounter<int>(
            "chat.presence.transitions", "{transition}", "Users who went online or offline, as first noticed by this node.");
        health = meter.CreateGauge<double>("chat.health", "{state}", "State of a readiness check: 1 healthy, 0.5 degraded, 0 unhealthy.");
        clock = meter.CreateGauge<double>("chat.clock.difference", "s", "How far this node's clock is ahead of PostgreSQL's.");
    }

    /// <summary>Whether event durations are collected.</summary>
    public bool WantsEvents => events.Enabled;

    /// <summary>Observes the number of connections, authenticated and not.</summary>
    public void ObserveConnections(Func<(int Authenticated, int Unauthenticated)> count) => meter.CreateObservableUpDownCounter(
        "chat.connections",
        () =>
        {
            var (authenticated, unauthenticated) = count();
            return (Measurement<int>[])[new(authenticated, new KeyValuePair<string, object?>("state", "authenticated")),
                new(unauthenticated, new KeyValuePair<string, object?>("state", "unauthenticated"))];
        },
        "{connection}",
        "Open connections, by authentication.");

    /// <summary>Observes the number of messages waiting for their commit.</summary>
    public void ObserveLogQueue(Func<int> count) =>
        meter.CreateObservableUpDownCounter("chat.log.queue.length", count, "{message}", "Messages waiting for their commit.");

    /// <summary>Observes the number of connections that fit: the setting, or what the file descriptors allow.</summary>
    public void ObserveConnectionLimit(Func<long> limit) =>
        meter.CreateObservableGauge(
            "chat.connections.limit", limit, "{connection}", "Maximum number of connections, by setting and file descriptors.");

    /// <summary>Observes how long PostgreSQL and Redis have been unavailable.</summary>
    public void ObserveOutages(Func<TimeSpan> postgres, Func<TimeSpan> redis) => meter.CreateObservableGauge(
        "chat.outage.duration",
        () => (Measurement<double>[])[new(postgres().TotalSeconds, new KeyValuePair<string, object?>("dependency", "postgres")),
        new(redis().TotalSeconds, new KeyValuePair<string, object?>("dependency", "redis"))],
        "s",
        "How long a dependency has been unavailable; 0 while it is available.");

    /// <summary>Observes the amount of work waiting for a permit of its user.</summary>
    public void ObserveQueuedWork(Func<int> count) =>
        meter.CreateObservableUpDownCounter(
            "chat.work.waiting", count, "{call}", "REST calls and events waiting for others of the same user.");

    /// <summary>Observes the number of users that this node delivers to.</summary>
    public void ObserveFeeds(Func<int> count) =>
        meter.CreateObservableUpDownCounter("chat.delivery.feeds", count, "{user}", "Users with connections to this node.");

    /// <summary>Counts a closed connection.</summary>
    /// <param name="code">The close code; 1006 if there was no close frame.</param>
    public void ConnectionClosed(int code) => closes.Add(1, new KeyValuePair<string, object?>("code", code));

    /// <summary>Counts a refused handshake.</summary>
    public void HandshakeRefused(string reason) => refusedHandshakes.Add(1, new KeyValuePair<string, object?>("reason", reason));

    /// <summary>Counts an enforced limit.</summary>
    /// <param name="setting">The property of <see cref="Limits"/>.</param>
    public void LimitHit(string setting) => limits.Add(1, new KeyValuePair<string, object?>("limit", setting));

    /// <summary>Counts a refused token.</summary>
    public void TokenRefused(string reason) => refusedTokens.Add(1, new KeyValuePair<string, object?>("reason", reason));

    /// <summary>Records a handled event.</summary>
    public void EventHandled(string name, string outcome, TimeSpan took) => events.Record(
        took.TotalSeconds,
        new KeyValuePair<string, object?>("event", name),
        new KeyValuePair<string, object?>("outcome", outcome));

    /// <summary>Records a committed batch.</summary>
    /// <param name="size">The number of drafts.</param>
    /// <param name="stored">How many were stored.</param>
    /// <param name="duplicates">How many were duplicates.</param>
    /// <param name="took">The time from begin to commit.</param>
    public void Committed(int size, int stored, int duplicates, TimeSpan took)
    {
        commits.Record(took.TotalSeconds);
        batches.Record(size);
        committed.Add(stored);
        if (duplicates > 0)
            repeated.Add(duplicates);
    }

    /// <summary>Counts sends answered with UNAVAILABLE.</summary>
    public void SendsUnavailable(int count) => unavailable.Add(count);

    /// <summary>Records the send queues' lengths.</summary>
    public void RecordSendQueues(int total, int longest)
    {
        sendQueues.Record(total);
        longestSendQueue.Record(longest);
    }

    /// <summary>Counts a dropped event.</summary>
    public void FrameDropped() => dropped.Add(1);

    /// <summary>Counts changes read from the database because of a gap in the sequence numbers.</summary>
    public void GapRepaired(int count) => repairs.Add(count, new KeyValuePair<string, object?>("by", "gap"));

    /// <summary>Counts changes that only the position check found.</summary>
    public void PositionRepaired(int count) => repairs.Add(count, new KeyValuePair<string, object?>("by", "position_check"));

    /// <summary>Counts a receipt that only the cursor check found.</summary>
    public void ReceiptRepaired() => repairs.Add(1, new KeyValuePair<string, object?>("by", "receipt_check"));

    /// <summary>Counts a lost connection to Redis.</summary>
    public void RedisConnectionLost() => interruptions.Add(1);

    /// <summary>Counts a user who went online or offline.</summary>
    public void PresenceChanged(bool isOnline) =>
        transitions.Add(1, new KeyValuePair<string, object?>("to", isOnline ? "online" : "offline"));

    /// <summary>Records the difference between this node's clock and PostgreSQL's.</summary>
    public void RecordClockDifference(TimeSpan ahead) => clock.Record(ahead.TotalSeconds);

    /// <summary>Records the state of a readiness check.</summary>
    /// <param name="part">The check's name.</param>
    /// <param name="state">1 if healthy, 0.5 if degraded, 0 if unhealthy.</param>
    public void RecordHealth(string part, double state) => health.Record(state, new KeyValuePair<string, object?>("check", part));
}
