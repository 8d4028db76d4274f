using System.Net.WebSockets;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// What waits to be written to one socket, and the only writer of it. Anybody may add; one drain at a time writes, on
/// the thread pool, and only while something waits, so that an idle socket costs no task. Nobody ever waits for a
/// reader: past its bound the queue refuses, and its connection is closed as a slow consumer.
/// </summary>
internal sealed class SendQueue(WebSocket socket, Transport transport, Action abort, Limits limits, ServerMetrics metrics, TimeProvider time) : IThreadPoolWorkItem
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

    /// <summary>Completes when the close frame is out, or the socket is broken: nothing is written any more.</summary>
    public Task Ended => ended.Task;

    /// <summary>Whether a close was asked for: what is added from then on is left out.</summary>
    public bool IsClosing => Volatile.Read(ref closingSince) != 0;

    /// <summary>Why the socket is closed; null as long as nobody asked for it.</summary>
    public Disconnect? CloseReason => IsClosing ? closing : null;

    /// <summary>How many frames wait. Read without the lock: a number to look at.</summary>
    public int Length => frames.Count;

    /// <summary>How many bytes these are. Read as that is.</summary>
    public int Bytes => Volatile.Read(ref queuedBytes);

    /// <summary>Adds a frame, if there is room for it.</summary>
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
    /// Adds a frame, and from then on lets others add: whatever they send because of <paramref name="letIn"/> comes
    /// behind this frame, and nothing that they send after it is missed.
    /// </summary>
    public void AddThenJoin(Frame frame, Action letIn)
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
                frames.Clear();
                queuedBytes = 0;
            }

            SignalCapacity();
            ScheduleDrain();
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
            pingQueued = true;
            ScheduleDrain();
        }
    }

    /// <summary>Completes when the queue is at most half full, or there is nothing to wait for any more.</summary>
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

    /// <summary>Whether one write has been under way for longer than it may.</summary>
    public bool IsStuck => Volatile.Read(ref writingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.WriteTimeout;

    /// <summary>Whether the other side has had its time to answer the close.</summary>
    public bool IsOverdue => Volatile.Read(ref closingSince) is not 0 and var since && time.GetElapsedTime(since) > limits.CloseTimeout;

    /// <summary>The drain: see the type's summary.</summary>
    void IThreadPoolWorkItem.Execute() => _ = DrainAsync();

    private bool WouldExceed(Frame frame, int share) =>
        frames.Count >= limits.SendQueueEvents / share || queuedBytes + Cost(frame) > limits.SendQueueBytes / share;

    // At most half of the queue: the size of a single frame says nothing about how fast its reader is.
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
                // No token: a cancelled send aborts the socket anyway, and a cancellable one is slower. The heartbeat
                // aborts a write that is stuck.
                if (frame is not null)
                {
                    transport.Cork(more);
                    await socket.SendAsync(frame.Bytes, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
                    transport.Cork(false);
                }
                else
                {
                    // A client that closed gets the code that it gave, or none if it gave none.
                    if (last == Disconnect.NormalClosure)
                        await socket.CloseOutputAsync(socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
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
            // The other side is gone: the receive loop meets the same end and cleans up. A socket that is over already
            // is left alone, since .NET itself closes for a protocol error, and an abort would overtake that close.
            if (socket.State is not (WebSocketState.Aborted or WebSocketState.Closed))
                abort();
            Close(Disconnect.NormalClosure, discard: true);
            ended.TrySetResult();
        }
    }

    // The next frame; or, once all that waited is out, the close; or neither, and the drain is over.
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

/// <summary>What became of a frame that was to be sent.</summary>
internal enum EnqueueResult
{
    /// <summary>It waits to be written.</summary>
    Queued,

    /// <summary>It may be left out, and was, because the queue is half full.</summary>
    Dropped,

    /// <summary>The connection closes, and sends nothing any more.</summary>
    Closing,

    /// <summary>The queue is past its bound: the client reads too slowly.</summary>
    Full,
}
