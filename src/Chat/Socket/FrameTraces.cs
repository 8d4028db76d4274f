using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Tells the log, for a time, which frames go to and from a user's connections on this node: event, id, size, direction and what became
/// of it. Never what is in a frame. While nobody is traced it costs a look at a field.
/// </summary>
internal sealed partial class FrameTraces(TimeProvider time, ILogger<FrameTraces> log) : IDisposable
{
    /// <summary>The most users at a time.</summary>
    public const int MaxTraces = 10;

    // A busy user's frames must not fill the disk.
    private const int LinesPerSecond = 100;
    private readonly ConcurrentDictionary<Guid, Trace> traces = new();
    private readonly Lock gate = new();
    private volatile bool isOn;

    /// <summary>Whether anybody is traced. Costs nothing to ask, which an empty dictionary does: it takes all its locks.</summary>
    public bool IsOn => isOn;

    /// <summary>Who is traced, and until when.</summary>
    public IReadOnlyList<FrameTrace> All => [.. traces.Values.Select(trace => new FrameTrace(trace.UserId, trace.Until)).OrderBy(trace => trace.UserId)];

    /// <summary>Traces a user's frames from now on; a trace that is there goes on for as long.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="duration">How long.</param>
    /// <param name="expired">Called when its time is over, with how many frames were told of and how many left out.</param>
    /// <returns>When it will be over; null if too many are traced already.</returns>
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

    /// <summary>Ends a user's trace.</summary>
    /// <returns>How many frames were told of and how many left out; null if there was none.</returns>
    public (long Told, long LeftOut)? TryEnd(Guid userId)
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

    /// <summary>A frame of a client's was handled to its end.</summary>
    /// <param name="connection">Where it came from.</param>
    /// <param name="name">The event, or <see cref="ServerMetrics.UnknownEvent"/>: an unknown name is the client's text.</param>
    /// <param name="id">The client's id for it.</param>
    /// <param name="bytes">The frame's size.</param>
    /// <param name="outcome">The code of its error, or <see cref="ServerMetrics.Ok"/>.</param>
    /// <param name="took">How long it took.</param>
    public void Received(Connection connection, string name, string? id, int bytes, string outcome, TimeSpan took)
    {
        if (TraceOf(connection) is { } trace)
            Received(trace.UserId, connection.Id, name, Shown(id), bytes, outcome, (long)took.TotalMilliseconds);
    }

    /// <summary>A frame was given to a connection's send queue.</summary>
    public void Sent(Connection connection, Frame frame, EnqueueResult outcome)
    {
        if (TraceOf(connection) is not { } trace || !Envelope.TryRead(frame.Bytes, out var envelope))
            return;
        Sent(trace.UserId, connection.Id, envelope.Type, Shown(envelope.Id), frame.Bytes.Length, outcome switch
        {
            EnqueueResult.Queued => "queued",
            EnqueueResult.Dropped => "left out, the queue is half full",
            EnqueueResult.Closing => "left out, the connection is closing",
            _ => "refused, the queue is full",
        });
    }

    public void Dispose()
    {
        foreach (var trace in traces.Values)
            trace.Dispose();
    }

    // Null as well for one frame too many in this second.
    private Trace? TraceOf(Connection connection) =>
        connection.Token?.Identity is { } identity && traces.TryGetValue(identity.Id, out var trace) && trace.TryTakeLine() ? trace : null;

    private void Expire(Trace trace, Action<long, long> expired)
    {
        lock (gate)
        {
            // Another one may have taken its place in the meantime.
            if (!traces.TryRemove(KeyValuePair.Create(trace.UserId, trace)))
                return;
            trace.Dispose();
            isOn = !traces.IsEmpty;
        }

        expired(trace.Counts.Told, trace.Counts.LeftOut);
    }

    // An id is the client's text, too: what does not look like one may be anything.
    private static string Shown(string? id) => id is null ? "-" : Id().IsMatch(id) ? id : "(not shown)";

    [GeneratedRegex("^[A-Za-z0-9_-]{1,40}$")]
    private static partial Regex Id();

    [LoggerMessage(340, LogLevel.Information, "Traced user {UserId}, connection {ConnectionId}: received {Event}, id {Id}, {Bytes} bytes: {Outcome} in {Milliseconds} ms")]
    private partial void Received(Guid userId, Guid connectionId, string @event, string id, int bytes, string outcome, long milliseconds);

    [LoggerMessage(341, LogLevel.Information, "Traced user {UserId}, connection {ConnectionId}: sent {Event}, id {Id}, {Bytes} bytes: {Outcome}")]
    private partial void Sent(Guid userId, Guid connectionId, string @event, string id, int bytes, string outcome);

    private sealed class Trace(Guid userId, DateTimeOffset until, TokenBucket lines) : IDisposable
    {
        private readonly Lock gate = new();
        private long logged;
        private long omitted;

        public Guid UserId => userId;

        public DateTimeOffset Until => until;

        public ITimer? Timer { get; set; }

        public (long Told, long LeftOut) Counts
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
                var isFree = lines.Take() == TimeSpan.Zero;
                (logged, omitted) = isFree ? (logged + 1, omitted) : (logged, omitted + 1);
                return isFree;
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

/// <summary>Whose frames are traced, and until when.</summary>
internal sealed record FrameTrace(Guid UserId, DateTimeOffset Until);
