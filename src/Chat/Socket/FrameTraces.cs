using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Logs, for a limited time, the frames of a user's connections on this node: event, id, size, direction and outcome,
/// never the content. Costs one field read while no user is traced.
/// </summary>
internal sealed partial class FrameTraces(TimeProvider time, ILogger<FrameTraces> log) : IDisposable
{
    /// <summary>The maximum number of users traced at a time.</summary>
    public const int MaxTraces = 10;

    // A busy user's frames must not fill the disk.
    private const int LinesPerSecond = 100;
    private readonly ConcurrentDictionary<Guid, Trace> traces = new();
    private readonly Lock gate = new();
    private volatile bool isOn;

    /// <summary>Whether any user is traced. A field, because <c>ConcurrentDictionary.IsEmpty</c> may take all locks.</summary>
    public bool IsOn => isOn;

    /// <summary>The traced users, and when each trace ends.</summary>
    public IReadOnlyList<FrameTrace> All =>
        [.. traces.Values.Select(trace => new FrameTrace(trace.UserId, trace.Until)).OrderBy(trace => trace.UserId)];

    /// <summary>Starts tracing a user's frames, or extends a running trace.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="duration">How long to trace.</param>
    /// <param name="expired">Called when the trace expires, with the numbers of frames logged and omitted.</param>
    /// <returns>The trace; null if too many users are traced already.</returns>
    public FrameTrace? TryBegin(Guid userId, TimeSpan duration, Action<long, long> expired)
    {
        var trace = new Trace(userId, time.GetUtcNow() + duration, new TokenBucket(LinesPerSecond, time));
        lock (gate)
        {
            if (!traces.ContainsKey(userId) && traces.Count >= MaxTraces)
                return null;
            if (traces.TryRemove(userId, out var former))
                trace.Continue(former);
            traces[userId] = trace;
            trace.Timer = time.CreateTimer(_ => Expire(trace, expired), null, duration, Timeout.InfiniteTimeSpan);
            isOn = true;
        }

        return new FrameTrace(userId, trace.Until);
    }

    /// <summary>Stops a user's trace.</summary>
    /// <returns>The numbers of frames logged and omitted; null if the user was not traced.</returns>
    public (long Logged, long Omitted)? TryEnd(Guid userId)
    {
        lock (gate)
        {
            if (!traces.TryRemove(userId, out var trace))
                return null;
            trace.Dispose();
            isOn = !traces.IsEmpty;
            return trace.Counts;
        }
    }

    /// <summary>Records a client's frame after it was handled.</summary>
    /// <param name="connection">The connection that sent it.</param>
    /// <param name="name">The event, or <see cref="ServerMetrics.UnknownEvent"/>: an unknown name is client input.</param>
    /// <param name="id">The client's id for it.</param>
    /// <param name="bytes">The frame's size.</param>
    /// <param name="outcome">The error code, or <see cref="ServerMetrics.Ok"/>.</param>
    /// <param name="took">The time taken to handle it.</param>
    public void Received(Connection connection, string name, string? id, int bytes, string outcome, TimeSpan took)
    {
        if (TraceOf(connection) is { } trace)
            Received(trace.UserId, connection.Id, name, Shown(id), bytes, outcome, (long)took.TotalMilliseconds);
    }

    /// <summary>Records a frame passed to a connection's send queue.</summary>
    public void Sent(Connection connection, Frame frame, EnqueueResult outcome)
    {
        if (TraceOf(connection) is not { } trace || !Envelope.TryRead(frame.Bytes, out var envelope))
            return;
        Sent(trace.UserId, connection.Id, envelope.Type, Shown(envelope.Id), frame.Bytes.Length, outcome switch
        {
            EnqueueResult.Queued => "queued",
            EnqueueResult.Dropped => "dropped, the queue is half full",
            EnqueueResult.Closing => "discarded, the connection is closing",
            _ => "refused, the queue is full",
        });
    }

    public void Dispose()
    {
        foreach (var trace in traces.Values)
            trace.Dispose();
    }

    // Null also if this second's lines are used up.
    private Trace? TraceOf(Connection connection) =>
        connection.Token?.Identity is { } identity && traces.TryGetValue(identity.Id, out var trace) && trace.TryTakeLine() ? trace : null;

    private void Expire(Trace trace, Action<long, long> expired)
    {
        lock (gate)
        {
            // A new trace may have replaced it meanwhile.
            if (!traces.TryRemove(KeyValuePair.Create(trace.UserId, trace)))
                return;
            trace.Dispose();
            isOn = !traces.IsEmpty;
        }

        expired(trace.Counts.Logged, trace.Counts.Omitted);
    }

    // An id is client input, too: show it only if it looks like one.
    private static string Shown(string? id) => id is null ? "-" : Id().IsMatch(id) ? id : "(not shown)";

    [GeneratedRegex("^[A-Za-z0-9_-]{1,40}$")]
    private static partial Regex Id();

    [LoggerMessage(340, LogLevel.Information,
        "Traced user {UserId}, connection {ConnectionId}: received {Event}, id {Id}, {Bytes} bytes: {Outcome} in {Milliseconds} ms")]
    private partial void Received(Guid userId, Guid connectionId, string @event, string id, int bytes, string outcome, long milliseconds);

    [LoggerMessage(
        341, LogLevel.Information, "Traced user {UserId}, connection {ConnectionId}: sent {Event}, id {Id}, {Bytes} bytes: {Outcome}")]
    private partial void Sent(Guid userId, Guid connectionId, string @event, string id, int bytes, string outcome);

    private sealed class Trace(Guid userId, DateTimeOffset until, TokenBucket lines) : IDisposable
    {
        private readonly Lock gate = new();
        private long logged;
        private long omitted;

        public Guid UserId => userId;

        public DateTimeOffset Until => until;

        public ITimer? Timer { get; set; }

        public (long Logged, long Omitted) Counts
        {
            get
            {
                lock (gate)
                    return (logged, omitted);
            }
        }

        public bool TryTakeLine()
        {
            lock (gate)
            {
                var isAllowed = lines.Take() == TimeSpan.Zero;
                (logged, omitted) = isAllowed ? (logged + 1, omitted) : (logged, omitted + 1);
                return isAllowed;
            }
        }

        public void Continue(Trace former)
        {
            former.Dispose();
            (logged, omitted) = former.Counts;
        }

        public void Dispose() => Timer?.Dispose();
    }
}

/// <summary>A traced user, and when the trace ends.</summary>
internal sealed record FrameTrace(Guid UserId, DateTimeOffset Until);
