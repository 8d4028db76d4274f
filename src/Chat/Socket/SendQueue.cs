using System.Net.WebSockets;

namespace Chat.Socket;

/// <summary>
/// What waits to be written to one socket, and the only writer of it. Anybody may add; one drain at a time writes, on
/// the thread pool, and only while something waits, so that an idle socket costs no task. Nobody ever waits for a
/// reader: past its bound the queue refuses, and its connection is closed as a slow consumer.
/// </summary>
internal sealed class SendQueue(WebSocket socket, Transport transport, Action abort, Limits limits, ServerMetrics metrics, TimeProvider time) : IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private readonly Queue<Frame> waiting = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource? room;
    private int waitingBytes;
    private bool draining;
    private bool pingWaits;
    private Disconnect? closing;
    private long closingSince;
    private long writingSince;

    /// <summary>Completes when the close frame is out, or the socket is broken: nothing is written any more.</summary>
    public Task Ended => ended.Task;

    /// <summary>Whether a close was asked for: what is added from then on is left out.</summary>
    public bool IsClosing => Volatile.Read(ref closingSince) != 0;

    /// <summary>Why the socket is closed; null as long as nobody asked for it.</summary>
    public Disconnect? Closing => IsClosing ? closing : null;

    /// <summary>How many frames wait. Read without the lock: a number to look at.</summary>
    public int Length => waiting.Count;

    /// <summary>How many bytes these are. Read as that is.</summary>
    public int Bytes => Volatile.Read(ref waitingBytes);

    /// <summary>Adds a frame, if there is room for it.</summary>
    public Enqueued Add(Frame frame)
    {
        lock (gate)
        {
            if (closing is not null)
                return Enqueued.Closing;
            if (frame.Droppable && IsFilled(frame, 2))
            {
                metrics.Dropped();
                return Enqueued.LeftOut;
            }

            if (IsFilled(frame, 1))
            {
                metrics.LimitHit(waiting.Count >= limits.SendQueueEvents ? nameof(Limits.SendQueueEvents) : nameof(Limits.SendQueueBytes));
                return Enqueued.Full;
            }

            waiting.Enqueue(frame);
            waitingBytes += Cost(frame);
            StartDrain();
            return Enqueued.Waits;
        }
    }

    /// <summary>
    /// Adds a frame, and from then on lets others add: whatever they send because of <paramref name="letIn"/> comes
    /// behind this frame, and nothing that they send after it is missed.
    /// </summary>
    public void AddAhead(Frame frame, Action letIn)
    {
        lock (gate)
        {
            letIn();
            Add(frame);
        }
    }

    /// <summary>Ends the socket with a close frame, behind what waits; only the first call counts.</summary>
    /// <param name="reason">What the close frame says.</param>
    /// <param name="discard">Leave out what waits, because nobody reads it.</param>
    /// <param name="limit">Which limit this enforces, if it does: counted before the client can know of it.</param>
    public void Close(Disconnect reason, bool discard, string? limit = null)
    {
        lock (gate)
        {
            if (closing is not null)
                return;
            if (limit is not null)
                metrics.LimitHit(limit);
            closing = reason;
            Volatile.Write(ref closingSince, time.GetTimestamp());
            if (discard)
            {
                waiting.Clear();
                waitingBytes = 0;
            }

            ReleaseRoom();
            StartDrain();
        }
    }

    /// <summary>Sends a ping, ahead of what waits: whoever reads slowly shows by its pong that it reads.</summary>
    public void Ping()
    {
        // TestServer's sockets have neither pings nor a stream to make one on.
        if (transport.Stream is null)
            return;
        lock (gate)
        {
            if (closing is not null)
                return;
            pingWaits = true;
            StartDrain();
        }
    }

    /// <summary>Completes when the queue is at most half full, or there is nothing to wait for any more.</summary>
    public Task HasRoomAsync()
    {
        lock (gate)
        {
            if (closing is not null || !IsHalfFull)
                return Task.CompletedTask;
            room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return room.Task;
        }
    }

    /// <summary>Whether one write has been under way for longer than it may.</summary>
    public bool IsStuck => Volatile.Read(ref writingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.WriteTimeout;

    /// <summary>Whether the other side has had its time to answer the close.</summary>
    public bool IsOverdue => Volatile.Read(ref closingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.CloseTimeout;

    /// <summary>The drain: see the type's summary.</summary>
    void IThreadPoolWorkItem.Execute() => _ = DrainAsync();

    private bool IsFilled(Frame frame, int share) =>
        waiting.Count >= limits.SendQueueEvents / share || waitingBytes + Cost(frame) > limits.SendQueueBytes / share;

    // At most half of the queue: the size of a single frame says nothing about how fast its reader is.
    private int Cost(Frame frame) => Math.Min(frame.Bytes.Length, limits.SendQueueBytes / 2);

    private bool IsHalfFull => waiting.Count > limits.SendQueueEvents / 2 || waitingBytes > limits.SendQueueBytes / 2;

    private void ReleaseRoom()
    {
        room?.TrySetResult();
        room = null;
    }

    private void StartDrain()
    {
        if (draining)
            return;
        draining = true;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private async Task DrainAsync()
    {
        try
        {
            while (Next(out var frame, out var more, out var last))
            {
                Volatile.Write(ref writingSince, time.GetTimestamp());
                // No token: a cancelled send aborts the socket anyway, and a cancellable one is slower. The heartbeat
                // aborts a write that is stuck.
                if (frame is not null)
                {
                    transport.JoinWrites(more);
                    await socket.SendAsync(frame.Bytes, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
                    transport.JoinWrites(false);
                }
                else
                {
                    // A client that closed gets the code that it gave, or none if it gave none.
                    if (last == Disconnect.Goodbye)
                        await socket.CloseOutputAsync(socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    else
                        await socket.CloseOutputAsync((WebSocketCloseStatus)last!.Code, last.Reason, CancellationToken.None);
                    ended.TrySetResult();
                    return;
                }

                Volatile.Write(ref writingSince, 0);
            }
        }
        catch (Exception failure) when (SocketFailure.IsTheOtherSide(failure))
        {
            // The other side is gone: the receive loop meets the same end and cleans up. A socket that is over already
            // is left alone, since .NET itself closes for a protocol error, and an abort would overtake that close.
            if (socket.State is not (WebSocketState.Aborted or WebSocketState.Closed))
                abort();
            Close(Disconnect.Goodbye, discard: true);
            ended.TrySetResult();
        }
    }

    // The next frame; or, once all that waited is out, the close; or neither, and the drain is over.
    private bool Next(out Frame? frame, out bool more, out Disconnect? last)
    {
        lock (gate)
        {
            last = null;
            if (pingWaits)
            {
                (pingWaits, frame, more) = (false, Frame.Ping, waiting.Count > 0);
                return true;
            }

            more = waiting.Count > 1;
            if (waiting.TryDequeue(out frame))
            {
                waitingBytes -= Cost(frame);
                if (room is not null && !IsHalfFull)
                    ReleaseRoom();
                return true;
            }

            last = closing;
            draining = last is not null;
            return draining;
        }
    }
}

/// <summary>What became of a frame that was to be sent.</summary>
internal enum Enqueued
{
    /// <summary>It waits to be written.</summary>
    Waits,

    /// <summary>It may be left out, and was, because the queue is half full.</summary>
    LeftOut,

    /// <summary>The connection closes, and sends nothing any more.</summary>
    Closing,

    /// <summary>The queue is past its bound: the client reads too slowly.</summary>
    Full,
}
