using System.Net;
using System.Net.WebSockets;
using Chat.RateLimiting;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>
/// One accepted socket. Three parties own it: the receive loop (<see cref="RunAsync"/>) reads and handles one frame
/// after the other; the <see cref="SendQueue"/> alone writes; the <see cref="Heartbeat"/> ends what is silent, stuck
/// or expired. Everybody else sees <see cref="Send"/> and <see cref="Close"/>, which never wait.
/// </summary>
public sealed class Connection
{
    // Nobody sends 1006: it stands for a connection that ended without a close (RFC 6455, 7.4.1).
    internal static readonly Disconnect AbnormalClosure = new(1006, "broke without a close");
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

    internal Connection(WebSocket socket, Transport transport, Limits limits, ServerMetrics metrics, TimeProvider time, ActivityTracker lifeSign, Admission.ConnectionSlot? place)
    {
        this.socket = socket;
        this.transport = transport;
        this.limits = limits;
        this.metrics = metrics;
        this.time = time;
        this.activity = lifeSign;
        this.slot = place;
        queue = new SendQueue(socket, transport, Abort, limits, metrics, time);
        ConnectedAt = time.GetUtcNow();
        pingedAt = time.GetTimestamp();
    }

    /// <summary>Names this connection in logs and in <c>auth_success</c>.</summary>
    public Guid Id { get; } = Guid.CreateVersion7();

    /// <summary>When the socket was accepted.</summary>
    public DateTimeOffset ConnectedAt { get; }

    /// <summary>Where it came from, behind the proxies that are believed; null where that is not known.</summary>
    internal IPAddress? Address { get; init; }

    /// <summary>Whose frames are told of; null where nobody's ever are.</summary>
    internal FrameTraces? Traces { get; init; }

    /// <summary>Whether a token has come, good or bad. One that waits for its issuer's keys is not no token.</summary>
    internal bool HasPresentedToken { get; set; }

    /// <summary>Whose connection this is; nobody's until a token was accepted.</summary>
    public Identity User => Token?.Identity ?? throw new InvalidOperationException("Nobody is signed in on this connection.");

    /// <summary>Whether a token was accepted.</summary>
    public bool IsAuthenticated => Token is not null;

    internal TokenReadResult? Token { get; private set; }

    /// <summary>Why it has ended; null while it is open.</summary>
    internal Disconnect? EndReason { get; private set; }

    /// <summary>Whether .NET found a fault in the frames and has closed for it by itself.</summary>
    internal bool IsFaulted { get; private set; }

    /// <summary>Puts a frame into the send queue. A client too slow for its queue is closed with 4408.</summary>
    public void Send(Frame frame)
    {
        var outcome = queue.Add(frame);
        if (Traces is { IsOn: true })
            Traces.Sent(this, frame, outcome);
        if (outcome == EnqueueResult.Full)
            queue.Close(Disconnect.SlowConsumer, discard: true);
    }

    /// <summary>Puts the first frame of an accepted user into the queue, ahead of all that joining brings.</summary>
    internal void SendThenJoin(Frame frame, Action join)
    {
        if (Traces is { IsOn: true })
            Traces.Sent(this, frame, EnqueueResult.Queued);
        queue.AddThenJoin(frame, join);
    }

    /// <summary>Puts an event into the send queue.</summary>
    public void Send<TEvent>(TEvent sent)
        where TEvent : IEvent<TEvent> => Send(Frame.Of(sent));

    /// <summary>Closes the connection, once what waits has been written. Only the first reason counts.</summary>
    public void Close(Disconnect reason)
    {
        // It will show no token any more, and takes nobody's place who might.
        slot?.LeaveUnauthenticated();
        queue.Close(reason, discard: false);
    }

    /// <summary>
    /// Completes when the send queue is at most half full: for answers in many parts and for what was held back, which
    /// would otherwise make any client a slow one. Live events never wait.
    /// </summary>
    internal Task WaitForCapacityAsync() => queue.WaitForCapacityAsync();

    /// <summary>Whether it is closing: what is sent from then on is left out.</summary>
    internal bool IsClosing => queue.IsClosing;

    /// <summary>How many events wait to be written.</summary>
    internal int QueueLength => queue.Length;

    /// <summary>How many bytes these are.</summary>
    internal int QueueBytes => queue.Bytes;

    /// <summary>How long nothing was heard of the other side.</summary>
    internal TimeSpan IdleTime => activity.IdleTime;

    /// <summary>Takes a send's permit.</summary>
    /// <returns>Zero, or how long to wait for the next permit.</returns>
    internal TimeSpan TakeSendPermit() => (sends ??= new TokenBucket(limits.MessagesPerSecond, time)).Take();

    /// <summary>Takes the permit of an event that has no rate of its own.</summary>
    /// <returns>Zero, or how long to wait for the next permit.</returns>
    internal TimeSpan TakeEventPermit() => (events ??= new TokenBucket(limits.EventsPerSecond, time)).Take();

    /// <summary>Takes the first token.</summary>
    /// <returns>False if its user has too many connections already.</returns>
    internal bool TrySignIn(TokenReadResult token)
    {
        if (slot?.TryAuthenticate(token.Identity!.Id) != true)
            return false;
        Token = token;
        return true;
    }

    /// <summary>Takes another token of the same user's in place of the one there is.</summary>
    internal void Renew(TokenReadResult token) => Token = token;

    /// <summary>Reads no further frame, lets the one in hand be answered, and closes.</summary>
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

    /// <summary>The receive loop: returns when the socket is closed or broken.</summary>
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
                    // Keep reading until the peer has closed, too: leaving now would send a reset, which may overtake
                    // the close frame.
                    if (end != Disconnect.NormalClosure)
                        await reader.DrainAsync();
                    break;
                }

                // A closing connection only waits for the other side's close frame.
                if (queue.IsClosing || !TryBeginHandling())
                    continue;
                // The event is read out of the frame before anything is waited for, and the wait for a commit needs no buffer.
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
            // Gone without a close, or aborted by the heartbeat: nothing to tell anybody.
            IsFaulted = failure is WebSocketException { WebSocketErrorCode: WebSocketError.Faulted };
            End(queue.CloseReason is { } reason && reason != Disconnect.NormalClosure ? reason : IsFaulted ? Disconnect.ProtocolError : AbnormalClosure);
            queue.Close(Disconnect.NormalClosure, discard: true);
        }
    }

    /// <summary>Ends what the clock says must end. Called by the heartbeat, about once a second.</summary>
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

    /// <summary>Cuts the socket without a word.</summary>
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

    // Half a beat of tolerance, so that a ping is due at the same beat each time, however exact the timer is.
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
        // What the server or its database could not do is no fault of the client's: to close for it would cost a reconnect.
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
