using System.Net.WebSockets;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// The outgoing frames of one socket, and its only writer. Any thread may enqueue; a single drain loop writes, on the
/// thread pool, and only while the queue is not empty, so that an idle socket costs no task. Nobody ever waits for a
/// reader: when the queue is full, its connection is closed as a slow consumer.
/// </summary>
internal sealed class SendQueue(
    WebSocket socket, Transport transport, Action abort, Limits limits, ServerMetrics metrics, TimeProvider time) : IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private readonly Queue<Frame> frames = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource? capacityAvailable;
    private int queuedBytes;
    private bool draining;
    private bool pingQueued;
    private Disconnect? closing;
    private long closingSince;
    private long writingSince;

    /// <summary>Completes when the close frame is sent, or the socket is broken: nothing is written any more.</summary>
    public Task Ended => ended.Task;

    /// <summary>Whether a close was requested; frames added from then on are discarded.</summary>
    public bool IsClosing => Volatile.Read(ref closingSince) != 0;

    /// <summary>Why the socket is closed; null until a close is requested.</summary>
    public Disconnect? CloseReason => IsClosing ? closing : null;

    /// <summary>The number of queued frames. Read without the lock: approximate.</summary>
    public int Length => frames.Count;

    /// <summary>The size of the queued frames, in bytes. Approximate, too.</summary>
    public int Bytes => Volatile.Read(ref queuedBytes);

    /// <summary>Enqueues a frame if it fits.</summary>
    public EnqueueResult Add(Frame frame)
    {
        lock (gate)
        {
            if (closing is not null)
                return EnqueueResult.Closing;
            if (frame.Droppable && WouldExceed(frame, 2))
            {
                metrics.FrameDropped();
                return EnqueueResult.Dropped;
            }

            if (WouldExceed(frame, 1))
            {
                metrics.LimitHit(frames.Count >= limits.SendQueueEvents ? nameof(Limits.SendQueueEvents) : nameof(Limits.SendQueueBytes));
                return EnqueueResult.Full;
            }

            frames.Enqueue(frame);
            queuedBytes += Cost(frame);
            ScheduleDrain();
            return EnqueueResult.Queued;
        }
    }

    /// <summary>
    /// Runs <paramref name="join"/> and enqueues a frame atomically: whatever others send because of the join comes after
    /// the frame, and nothing that they send after it is missed.
    /// </summary>
    public void AddThenJoin(Frame frame, Action join)
    {
        lock (gate)
        {
            join();
            Add(frame);
        }
    }

    /// <summary>Enqueues a close frame behind the queued frames. Only the first call counts.</summary>
    /// <param name="reason">The code and reason of the close frame.</param>
    /// <param name="discard">Whether to discard the queued frames, because nobody reads them.</param>
    /// <param name="limit">The limit that this enforces, if any; counted before the client can see the close.</param>
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
                frames.Clear();
                queuedBytes = 0;
            }

            SignalCapacity();
            ScheduleDrain();
        }
    }

    /// <summary>Sends a ping ahead of the queued frames, so that a slow reader still answers with pongs.</summary>
    public void Ping()
    {
        // TestServer's sockets have neither pings nor a stream to write one to.
        if (transport.Stream is null)
            return;
        lock (gate)
        {
            if (closing is not null)
                return;
            pingQueued = true;
            ScheduleDrain();
        }
    }

    /// <summary>Completes when the queue is at most half full, or closing.</summary>
    public Task WaitForCapacityAsync()
    {
        lock (gate)
        {
            if (closing is not null || !IsHalfFull)
                return Task.CompletedTask;
            capacityAvailable ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return capacityAvailable.Task;
        }
    }

    /// <summary>Whether a write has exceeded the write timeout.</summary>
    public bool IsStuck => Volatile.Read(ref writingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.WriteTimeout;

    /// <summary>Whether the peer has exceeded the close timeout.</summary>
    public bool IsOverdue => Volatile.Read(ref closingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.CloseTimeout;

    /// <summary>Runs the drain loop.</summary>
    void IThreadPoolWorkItem.Execute() => _ = DrainAsync();

    private bool WouldExceed(Frame frame, int share) =>
        frames.Count >= limits.SendQueueEvents / share || queuedBytes + Cost(frame) > limits.SendQueueBytes / share;

    // At most half of the queue: a single large frame does not make its reader slow.
    private int Cost(Frame frame) => Math.Min(frame.Bytes.Length, limits.SendQueueBytes / 2);

    private bool IsHalfFull => frames.Count > limits.SendQueueEvents / 2 || queuedBytes > limits.SendQueueBytes / 2;

    private void SignalCapacity()
    {
        capacityAvailable?.TrySetResult();
        capacityAvailable = null;
    }

    private void ScheduleDrain()
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
                // No token: cancelling a send aborts the socket anyway, and a cancellable one is slower. The heartbeat
                // aborts a stuck write.
                if (frame is not null)
                {
                    transport.Cork(more);
                    await socket.SendAsync(frame.Bytes, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
                    transport.Cork(false);
                }
                else
                {
                    // A client's close is answered with its own code, or with none if it gave none.
                    if (last == Disconnect.NormalClosure)
                        await socket.CloseOutputAsync(
                            socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    else
                        await socket.CloseOutputAsync((WebSocketCloseStatus)last!.Code, last.Reason, CancellationToken.None);
                    ended.TrySetResult();
                    return;
                }

                Volatile.Write(ref writingSince, 0);
            }
        }
        catch (Exception failure) when (SocketFailure.IsDisconnect(failure))
        {
            // The peer is gone; the receive loop fails the same way and cleans up. Do not abort a socket that is closed
            // already: .NET closes by itself on a protocol error, and an abort would overtake that close frame.
            if (socket.State is not (WebSocketState.Aborted or WebSocketState.Closed))
                abort();
            Close(Disconnect.NormalClosure, discard: true);
            ended.TrySetResult();
        }
    }

    // Takes the next frame, or the close once the queue is empty, or neither, which ends the drain loop.
    private bool Next(out Frame? frame, out bool more, out Disconnect? last)
    {
        lock (gate)
        {
            last = null;
            if (pingQueued)
            {
                (pingQueued, frame, more) = (false, Frame.Ping, frames.Count > 0);
                return true;
            }

            more = frames.Count > 1;
            if (frames.TryDequeue(out frame))
            {
                queuedBytes -= Cost(frame);
                if (capacityAvailable is not null && !IsHalfFull)
                    SignalCapacity();
                return true;
            }

            last = closing;
            draining = last is not null;
            return draining;
        }
    }
}

/// <summary>The outcome of enqueuing a frame.</summary>
internal enum EnqueueResult
{
    /// <summary>Queued to be written.</summary>
    Queued,

    /// <summary>Dropped, because it is droppable and the queue is half full.</summary>
    Dropped,

    /// <summary>Discarded, because the connection is closing.</summary>
    Closing,

    /// <summary>Rejected, because the queue is full: the client reads too slowly.</summary>
    Full,
}
