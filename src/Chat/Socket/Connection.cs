using System.Net;
using System.Net.WebSockets;
using Chat.RateLimiting;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>
/// One accepted socket. Ownership is split three ways: the receive loop (<see cref="RunAsync"/>) reads and handles one
/// frame at a time; only the <see cref="SendQueue"/> writes; the <see cref="Heartbeat"/> ends what is silent, stuck or
/// expired. Everyone else uses <see cref="Send"/> and <see cref="Close"/>, which never block.
/// </summary>
public sealed class Connection
{
    // Never sent: 1006 stands for a connection that ended without a close frame (RFC 6455, 7.4.1).
    internal static readonly Disconnect AbnormalClosure = new(1006, "closed without a close frame");
    private readonly WebSocket socket;
    private readonly Transport transport;
    private readonly Limits limits;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;
    private readonly ActivityTracker activity;
    private readonly Admission.ConnectionSlot? slot;
    private readonly SendQueue queue;
    private readonly Lock gate = new();
    private TokenBucket? sends;
    private TokenBucket? events;
    private Queue<long>? errors;
    private bool handling;
    private Disconnect? closeAfterHandling;
    private bool isOverdue;
    private long pingedAt;

    internal Connection(WebSocket socket, Transport transport, Limits limits, ServerMetrics metrics, TimeProvider time,
        ActivityTracker activity, Admission.ConnectionSlot? slot)
    {
        this.socket = socket;
        this.transport = transport;
        this.limits = limits;
        this.metrics = metrics;
        this.time = time;
        this.activity = activity;
        this.slot = slot;
        queue = new SendQueue(socket, transport, Abort, limits, metrics, time);
        ConnectedAt = time.GetUtcNow();
        pingedAt = time.GetTimestamp();
    }

    /// <summary>Identifies this connection in logs and in <c>auth_success</c>.</summary>
    public Guid Id { get; } = Guid.CreateVersion7();

    /// <summary>When the socket was accepted.</summary>
    public DateTimeOffset ConnectedAt { get; }

    /// <summary>The client's address as reported by trusted proxies; null if unknown.</summary>
    internal IPAddress? Address { get; init; }

    /// <summary>The frame traces to write to; null if frames are never traced.</summary>
    internal FrameTraces? Traces { get; init; }

    /// <summary>Whether a token was presented, valid or not. It stays true while the issuer's keys are being fetched.</summary>
    internal bool HasPresentedToken { get; set; }

    /// <summary>The authenticated user.</summary>
    public Identity User => Token?.Identity ?? throw new InvalidOperationException("The connection is not authenticated.");

    /// <summary>Whether a token was accepted.</summary>
    public bool IsAuthenticated => Token is not null;

    internal TokenReadResult? Token { get; private set; }

    /// <summary>Why the connection ended; null while it is open.</summary>
    internal Disconnect? EndReason { get; private set; }

    /// <summary>Whether .NET found a protocol error and closed the socket itself.</summary>
    internal bool IsFaulted { get; private set; }

    /// <summary>Enqueues a frame. A client too slow for its queue is closed with 4408.</summary>
    public void Send(Frame frame)
    {
        var outcome = queue.Add(frame);
        if (Traces is { IsOn: true })
            Traces.Sent(this, frame, outcome);
        if (outcome == EnqueueResult.Full)
            queue.Close(Disconnect.SlowConsumer, discard: true);
    }

    /// <summary>Enqueues <c>auth_success</c> ahead of everything that joining the hub brings.</summary>
    internal void SendThenJoin(Frame frame, Action join)
    {
        if (Traces is { IsOn: true })
            Traces.Sent(this, frame, EnqueueResult.Queued);
        queue.AddThenJoin(frame, join);
    }

    /// <summary>Enqueues an event.</summary>
    public void Send<TEvent>(TEvent sent)
        where TEvent : IEvent<TEvent> => Send(Frame.Of(sent));

    /// <summary>Closes the connection once the queue is flushed. Only the first reason counts.</summary>
    public void Close(Disconnect reason)
    {
        // A closing connection will never authenticate: release its unauthenticated slot.
        slot?.LeaveUnauthenticated();
        queue.Close(reason, discard: false);
    }

    /// <summary>
    /// Completes when the send queue is at most half full. Provides backpressure for multi-part replies and for releasing
    /// buffered changes, which would make any client a slow consumer. Live events never wait.
    /// </summary>
    internal Task WaitForCapacityAsync() => queue.WaitForCapacityAsync();

    /// <summary>Whether the connection is closing; frames sent from then on are discarded.</summary>
    internal bool IsClosing => queue.IsClosing;

    /// <summary>The number of queued frames.</summary>
    internal int QueueLength => queue.Length;

    /// <summary>The size of the queued frames, in bytes.</summary>
    internal int QueueBytes => queue.Bytes;

    /// <summary>How long nothing was received from the peer.</summary>
    internal TimeSpan IdleTime => activity.IdleTime;

    /// <summary>Takes a permit to send a message.</summary>
    /// <returns>Zero, or the delay until the next permit.</returns>
    internal TimeSpan TakeSendPermit() => (sends ??= new TokenBucket(limits.MessagesPerSecond, time)).Take();

    /// <summary>Takes a permit for an event without a rate limit of its own.</summary>
    /// <returns>Zero, or the delay until the next permit.</returns>
    internal TimeSpan TakeEventPermit() => (events ??= new TokenBucket(limits.EventsPerSecond, time)).Take();

    /// <summary>Authenticates the connection with its first token.</summary>
    /// <returns>False if the user has too many connections.</returns>
    internal bool TrySignIn(TokenReadResult token)
    {
        if (slot?.TryAuthenticate(token.Identity!.Id) != true)
            return false;
        Token = token;
        return true;
    }

    /// <summary>Replaces the token with another one of the same user.</summary>
    internal void Renew(TokenReadResult token) => Token = token;

    /// <summary>Stops reading, lets the request in progress complete, and closes.</summary>
    internal void CloseAfterReply(Disconnect reason)
    {
        lock (gate)
        {
            closeAfterHandling = reason;
            if (handling)
                return;
        }

        Close(reason);
    }

    /// <summary>Runs the receive loop until the socket is closed or broken.</summary>
    internal async Task RunAsync(SocketDispatcher dispatcher)
    {
        try
        {
            using var reader = new FrameReader(socket, limits, activity, metrics);
            while (true)
            {
                var (frame, end) = await reader.ReadAsync();
                if (end is not null)
                {
                    queue.Close(end, discard: end == Disconnect.NormalClosure);
                    // Keep reading until the peer closes: leaving now would send a TCP reset, which may overtake the
                    // close frame.
                    if (end != Disconnect.NormalClosure)
                        await reader.DrainAsync();
                    break;
                }

                // A closing connection only waits for the peer's close frame.
                if (queue.IsClosing || !TryBeginHandling())
                    continue;
                // The event is deserialized before the first await, so that no buffer is held during a commit.
                var handling = dispatcher.DispatchAsync(frame, this);
                reader.Release();
                if (await handling is { } error)
                    ReplyWithError(error);
                EndHandling();
            }

            await queue.Ended;
            End(queue.CloseReason!);
        }
        catch (Exception failure) when (SocketFailure.IsDisconnect(failure))
        {
            // Closed without a close frame, or aborted by the heartbeat: expected, not logged.
            IsFaulted = failure is WebSocketException { WebSocketErrorCode: WebSocketError.Faulted };
            End(queue.CloseReason is { } reason && reason != Disconnect.NormalClosure
                ? reason : IsFaulted ? Disconnect.ProtocolError : AbnormalClosure);
            queue.Close(Disconnect.NormalClosure, discard: true);
        }
    }

    /// <summary>Enforces timeouts and token expiry. Called by the heartbeat, about once a second.</summary>
    internal void EnforceTimeouts()
    {
        if (queue.IsOverdue || (queue.IsClosing && queue.IsStuck))
        {
            if (queue.IsOverdue && !isOverdue)
                metrics.LimitHit(nameof(Limits.CloseTimeout));
            isOverdue = queue.IsOverdue;
            Abort();
        }
        else if (queue.IsStuck)
            CloseForLimit(nameof(Limits.WriteTimeout), Disconnect.SlowConsumer);
        else if (Token is null && !HasPresentedToken && time.GetUtcNow() - ConnectedAt >= limits.AuthTimeout)
            CloseForLimit(nameof(Limits.AuthTimeout), Disconnect.AuthTimeout);
        else if (Token is not null && time.GetUtcNow() >= Token.ExpiresAt)
            Close(Disconnect.TokenExpired);
        else if (activity.IdleTime >= limits.PingTimeout)
            CloseForLimit(nameof(Limits.PingTimeout), Disconnect.IdleTimeout);
        else
            PingWhenDue();
    }

    /// <summary>Aborts the socket without a close frame.</summary>
    internal void Abort()
    {
        transport.Abort();
        socket.Abort();
    }

    private void End(Disconnect reason)
    {
        EndReason = reason;
        metrics.ConnectionClosed(reason.Code);
    }

    // Half an interval of tolerance, so that timer jitter does not postpone a ping to the next tick.
    private void PingWhenDue()
    {
        var now = time.GetTimestamp();
        if (time.GetElapsedTime(pingedAt, now) < limits.PingInterval - (Heartbeat.Interval / 2))
            return;
        pingedAt = now;
        queue.Ping();
    }

    private void CloseForLimit(string limit, Disconnect reason) => queue.Close(reason, discard: reason == Disconnect.SlowConsumer, limit);

    private bool TryBeginHandling()
    {
        lock (gate)
        {
            handling = closeAfterHandling is null;
            return handling;
        }
    }

    private void EndHandling()
    {
        lock (gate)
        {
            handling = false;
            if (closeAfterHandling is not null)
                Close(closeAfterHandling);
        }
    }

    private void ReplyWithError((ChatError Error, string? Id) failed)
    {
        Send(Frame.Of(failed.Error, failed.Id));
        // A failure of the server or its database is not the client's fault: closing would cost a reconnect.
        if (failed.Error.Code is ErrorCode.Unavailable or ErrorCode.InternalError)
            return;
        errors ??= new Queue<long>(limits.MaxErrors);
        errors.Enqueue(time.GetTimestamp());
        if (errors.Count < limits.MaxErrors)
            return;
        if (time.GetElapsedTime(errors.Dequeue()) <= limits.ErrorWindow)
            CloseForLimit(nameof(Limits.MaxErrors), Disconnect.TooManyErrors);
    }
}
