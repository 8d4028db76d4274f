using System.Net.WebSockets;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>
/// One accepted socket. Three parties own it: the receive loop (<see cref="RunAsync"/>) reads and handles one frame
/// after the other; the <see cref="SendQueue"/> alone writes; the <see cref="Heartbeat"/> ends what is silent, stuck
/// or expired. Everybody else sees <see cref="Send"/> and <see cref="Close"/>, which never wait.
/// </summary>
public sealed class Connection
{
    // Codes of RFC 6455 that the server never sends itself: .NET closes for a fault in the frames, and nobody sends 1006.
    private const int ProtocolError = (int)WebSocketCloseStatus.ProtocolError;
    private const int Broken = 1006;
    private readonly WebSocket socket;
    private readonly Transport transport;
    private readonly Limits limits;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;
    private readonly LifeSign lifeSign;
    private readonly Admission.Place? place;
    private readonly SendQueue queue;
    private readonly Lock gate = new();
    private TokenBucket? sends;
    private TokenBucket? events;
    private Queue<long>? errors;
    private bool handling;
    private Disconnect? afterHandling;
    private bool isOverdue;

    internal Connection(WebSocket socket, Transport transport, Limits limits, ServerMetrics metrics, TimeProvider time, LifeSign lifeSign, Admission.Place? place)
    {
        this.socket = socket;
        this.transport = transport;
        this.limits = limits;
        this.metrics = metrics;
        this.time = time;
        this.lifeSign = lifeSign;
        this.place = place;
        queue = new SendQueue(socket, transport, Abort, limits, metrics, time);
        ConnectedAt = time.GetUtcNow();
    }

    /// <summary>Names this connection in logs and in <c>auth_success</c>.</summary>
    public Guid Id { get; } = Guid.CreateVersion7();

    /// <summary>When the socket was accepted.</summary>
    public DateTimeOffset ConnectedAt { get; }

    /// <summary>Whose connection this is; nobody's until a token was accepted.</summary>
    public Identity User => Token?.Identity ?? throw new InvalidOperationException("Nobody is signed in on this connection.");

    /// <summary>Whether a token was accepted.</summary>
    public bool IsAuthenticated => Token is not null;

    internal TokenReading? Token { get; private set; }

    /// <summary>Whether .NET found a fault in the frames and has closed for it by itself.</summary>
    internal bool IsFaulted { get; private set; }

    /// <summary>Puts a frame into the send queue. A client too slow for its queue is closed with 4408.</summary>
    public void Send(Frame frame)
    {
        if (!queue.TryAdd(frame))
            queue.Close(Disconnect.SlowConsumer, discard: true);
    }

    /// <summary>Puts the first frame of an accepted user into the queue, ahead of all that joining brings.</summary>
    internal void SendAhead(Frame frame, Action join) => queue.AddAhead(frame, join);

    /// <summary>Puts an event into the send queue.</summary>
    public void Send<TEvent>(TEvent sent)
        where TEvent : IEvent<TEvent> => Send(Frame.Of(sent));

    /// <summary>Closes the connection, once what waits has been written. Only the first reason counts.</summary>
    public void Close(Disconnect reason) => queue.Close(reason, discard: false);

    /// <summary>
    /// Completes when the send queue is at most half full: for answers in many parts and for what was held back, which
    /// would otherwise make any client a slow one. Live events never wait.
    /// </summary>
    internal Task HasRoomAsync() => queue.HasRoomAsync();

    /// <summary>How many events wait to be written.</summary>
    internal int QueueLength => queue.Length;

    /// <summary>Takes a send's permit.</summary>
    /// <returns>Zero, or how long to wait for the next permit.</returns>
    internal TimeSpan TakeSendPermit() => (sends ??= new TokenBucket(limits.MessagesPerSecond, time)).Take();

    /// <summary>Takes the permit of an event that has no rate of its own.</summary>
    /// <returns>Zero, or how long to wait for the next permit.</returns>
    internal TimeSpan TakeEventPermit() => (events ??= new TokenBucket(limits.EventsPerSecond, time)).Take();

    /// <summary>Takes the first token.</summary>
    /// <returns>False if its user has too many connections already.</returns>
    internal bool TrySignIn(TokenReading token)
    {
        if (place?.TryAuthenticate(token.Identity!.Id) != true)
            return false;
        Token = token;
        return true;
    }

    /// <summary>Takes another token of the same user's in place of the one there is.</summary>
    internal void Renew(TokenReading token) => Token = token;

    /// <summary>Reads no further frame, lets the one in hand be answered, and closes.</summary>
    internal void CloseWhenAnswered(Disconnect reason)
    {
        lock (gate)
        {
            afterHandling = reason;
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
            using var reader = new FrameReader(socket, limits, lifeSign, metrics);
            while (true)
            {
                var (frame, end) = await reader.ReadAsync();
                if (end is not null)
                {
                    queue.Close(end, discard: end == Disconnect.Goodbye);
                    if (end == Disconnect.Goodbye)
                        break;
                    // Reads on until the other side has closed, too: to leave now would reset the connection, and a
                    // reset may overtake the close.
                    continue;
                }

                // A closing connection only waits for the other side's close frame.
                if (queue.IsClosing || !TryBeginHandling())
                    continue;
                // The event is read out of the frame before anything is waited for, and the wait for a commit needs no buffer.
                var handling = dispatcher.DispatchAsync(frame, this);
                reader.Release();
                if (await handling is { } error)
                    Fail(error);
                EndHandling();
            }

            await queue.Ended;
            metrics.Closed(queue.Closing!.Code);
        }
        catch (Exception failure) when (SocketFailure.IsTheOtherSide(failure))
        {
            // Gone without a close, or aborted by the heartbeat: nothing to tell anybody.
            IsFaulted = failure is WebSocketException { WebSocketErrorCode: WebSocketError.Faulted };
            metrics.Closed(queue.Closing is { } reason && reason != Disconnect.Goodbye ? reason.Code : IsFaulted ? ProtocolError : Broken);
            queue.Close(Disconnect.Goodbye, discard: true);
        }
    }

    /// <summary>Ends what the clock says must end. Called by the heartbeat, about once a second.</summary>
    internal void Check()
    {
        if (queue.IsOverdue || (queue.IsClosing && queue.IsStuck))
        {
            if (queue.IsOverdue && !isOverdue)
                metrics.LimitHit(nameof(Limits.CloseTimeout));
            isOverdue = queue.IsOverdue;
            Abort();
        }
        else if (queue.IsStuck)
            CloseAt(nameof(Limits.WriteTimeout), Disconnect.SlowConsumer);
        else if (Token is null && time.GetUtcNow() - ConnectedAt >= limits.AuthTimeout)
            CloseAt(nameof(Limits.AuthTimeout), Disconnect.NoToken);
        else if (Token is not null && time.GetUtcNow() >= Token.ExpiresAt)
            Close(Disconnect.TokenExpired);
        else if (lifeSign.Age >= limits.PingTimeout)
            CloseAt(nameof(Limits.PingTimeout), Disconnect.NoSignOfLife);
    }

    /// <summary>Cuts the socket without a word.</summary>
    internal void Abort()
    {
        transport.Cut();
        socket.Abort();
    }

    private void CloseAt(string limit, Disconnect reason) => queue.Close(reason, discard: reason == Disconnect.SlowConsumer, limit);

    private bool TryBeginHandling()
    {
        lock (gate)
        {
            handling = afterHandling is null;
            return handling;
        }
    }

    private void EndHandling()
    {
        lock (gate)
        {
            handling = false;
            if (afterHandling is not null)
                Close(afterHandling);
        }
    }

    private void Fail((ChatError Error, string? Id) failed)
    {
        Send(Frame.Of(failed.Error, failed.Id));
        errors ??= new Queue<long>(limits.MaxErrors);
        errors.Enqueue(time.GetTimestamp());
        if (errors.Count < limits.MaxErrors)
            return;
        if (time.GetElapsedTime(errors.Dequeue()) <= limits.ErrorWindow)
            CloseAt(nameof(Limits.MaxErrors), Disconnect.TooManyErrors);
    }
}
