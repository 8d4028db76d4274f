using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>A client's socket, from handshake to close, and everything it received.</summary>
internal sealed class ClientSocket : IDisposable
{
    /// <summary>How long a server may take to drop a connection before the client notices.</summary>
    private static readonly TimeSpan Notice = TimeSpan.FromSeconds(2);

    private readonly ClientWebSocket socket;
    private readonly long began;
    private readonly ConcurrentDictionary<string, Action<ReceivedFrame?>> waiting = new();
    private readonly SemaphoreSlim writing = new(1);
    private readonly Action<Message, TimeSpan> taken;
    private readonly Lock gate = new();
    private readonly List<ReceivedFrame> frames = [];
    private int lastId;

    private ClientSocket(ClientWebSocket socket, string name, User user, TimeSpan opening, long began, Action<Message, TimeSpan> taken)
    {
        (this.socket, this.began, this.taken) = (socket, began, taken);
        (Name, User, Opening) = (name, user, opening);
        Ended = ReadAsync();
    }

    public string Name { get; }

    public User User { get; }

    public TimeSpan Opening { get; }

    /// <summary>When it began to close; null while it is open.</summary>
    public TimeSpan? Closing { get; private set; }

    /// <summary>When the client noticed that it had closed.</summary>
    public TimeSpan? End { get; private set; }

    /// <summary>Completes with the close code; 1006 if there was none.</summary>
    public Task<int> Ended { get; }

    /// <summary>What the device had when the socket was opened.</summary>
    public IReadOnlyDictionary<Guid, long> Start { get; init; } = new Dictionary<Guid, long>();

    public List<Message> CaughtUp { get; } = [];

    public View? Snapshot { get; set; }

    private TimeSpan Now => Stopwatch.GetElapsedTime(began);

    /// <summary>Opens a socket; null if the node rejects it.</summary>
    public static async Task<ClientSocket?> OpenAsync(
        ChatNode node, HttpMessageInvoker http, string name, User user, string token, IReadOnlyDictionary<Guid, long> start, long began,
        Action<Message, TimeSpan> taken, TimeSpan timeout)
    {
        var opening = Stopwatch.GetElapsedTime(began);
        var socket = new ClientWebSocket();
        try
        {
            using var deadline = new CancellationTokenSource(timeout);
            socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
            socket.Options.SetBuffer(4096, 1024);
            await socket.ConnectAsync(new UriBuilder(node.Address) { Scheme = "ws", Path = "/chat/ws" }.Uri, http, deadline.Token);
            return new ClientSocket(socket, name, user, opening, began, taken) { Start = start };
        }
        catch (Exception refused) when (refused is WebSocketException or OperationCanceledException or HttpRequestException or IOException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Sends a request and waits for the direct reply.</summary>
    /// <returns>The reply, or null if the socket closed or the timeout elapsed; and when the request was written.</returns>
    public async Task<(ReceivedFrame? Answer, TimeSpan Start)> AskAsync(string type, object payload, TimeSpan timeout)
    {
        var id = $"q{Interlocked.Increment(ref lastId)}";
        var answer = new TaskCompletionSource<ReceivedFrame?>(TaskCreationOptions.RunContinuationsAsynchronously);
        waiting[id] = frame => answer.TrySetResult(frame);
        var start = await WriteAsync(type, payload, id);
        try
        {
            return (await answer.Task.WaitAsync(timeout), start);
        }
        catch (TimeoutException)
        {
            return (null, start);
        }
        finally
        {
            waiting.TryRemove(id, out _);
        }
    }

    /// <summary>Sends a request and waits for all parts of the reply; returns those received if it stays incomplete.</summary>
    public async Task<IReadOnlyList<ReceivedFrame>> CollectAsync(
        string type, object payload, Func<ReceivedFrame, bool> isLast, TimeSpan timeout)
    {
        var id = $"q{Interlocked.Increment(ref lastId)}";
        var parts = new ConcurrentQueue<ReceivedFrame>();
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        waiting[id] = frame =>
        {
            if (frame is not null)
                parts.Enqueue(frame);
            if (frame is null || isLast(frame))
                end.TrySetResult();
        };
        await WriteAsync(type, payload, id);
        await end.Task.WaitAsync(timeout).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        waiting.TryRemove(id, out _);
        return [.. parts];
    }

    /// <summary>Syncs until nothing is missing; false if the sync could not be completed.</summary>
    public async Task<bool> SynchronizeAsync(TimeSpan timeout)
    {
        var seen = new Dictionary<Guid, long>(Start);
        while (true)
        {
            var parts = await CollectAsync("sync", new { conversations = seen }, frame => frame.Type != "sync.conversation", timeout);
            if (parts is not [.., { Type: "sync.done" }])
                return false;
            var found =
                parts.SkipLast(1).SelectMany(part => part.Payload.GetProperty("messages").EnumerateArray()).Select(Message.Read).ToArray();
            lock (gate)
                CaughtUp.AddRange(found);
            foreach (var message in found)
            {
                taken(message, Now);
                seen[message.ConversationId] = Math.Max(seen.GetValueOrDefault(message.ConversationId), message.Seq);
            }

            if (!parts.SkipLast(1).Any(part => part.Payload.GetProperty("hasMore").GetBoolean()))
                return true;
        }
    }

    /// <summary>Closes in order, like a client that leaves.</summary>
    public async Task LeaveAsync()
    {
        Close(Now);
        try
        {
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
            await Ended.WaitAsync(TimeSpan.FromSeconds(10));
        }
        catch (Exception gone) when (gone is WebSocketException or TimeoutException or ObjectDisposedException or InvalidOperationException
            or IOException)
        {
            socket.Abort();
        }
    }

    /// <summary>Aborts the connection without a close frame.</summary>
    public void Cut()
    {
        Close(Now);
        socket.Abort();
    }

    public Connection Record()
    {
        lock (gate)
        {
            return new Connection
            {
                Name = Name,
                UserId = User.Id,
                Opening = Opening,
                Closing = Closing,
                Ended = End,
                Frames = [.. frames],
                Start = Start,
                Snapshot = Snapshot,
                CaughtUp = [.. CaughtUp],
            };
        }
    }

    public void Dispose()
    {
        socket.Dispose();
        writing.Dispose();
    }

    private async Task<TimeSpan> WriteAsync(string type, object payload, string id)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(new { type, id, payload });
        await writing.WaitAsync();
        var start = Now;
        try
        {
            await socket.SendAsync(bytes, WebSocketMessageType.Text, true, CancellationToken.None);
        }
        catch (Exception broken) when (broken is WebSocketException or IOException or ObjectDisposedException or InvalidOperationException
            or OperationCanceledException)
        {
            // Callers that wait for a reply get the close of the socket instead.
            socket.Abort();
            Release();
        }
        finally
        {
            writing.Release();
        }

        if (Ended.IsCompleted)
            Release();
        return start;
    }

    private async Task<int> ReadAsync()
    {
        var buffer = new byte[4096];
        var length = 0;
        try
        {
            while (true)
            {
                if (length == buffer.Length)
                    Array.Resize(ref buffer, length * 2);
                var part = await socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                if (part.MessageType == WebSocketMessageType.Close)
                    break;
                length += part.Count;
                if (!part.EndOfMessage)
                    continue;
                Take(buffer.AsSpan(0, length).ToArray());
                length = 0;
            }

            Close(Now - Notice);
            if (socket.State == WebSocketState.CloseReceived)
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        }
        catch (Exception broken) when (broken is WebSocketException or IOException or ObjectDisposedException or InvalidOperationException
            or OperationCanceledException)
        {
            Close(Now - Notice);
        }

        Release();
        return (int)(socket.CloseStatus ?? (WebSocketCloseStatus)1006);
    }

    private void Take(byte[] bytes)
    {
        var envelope = JsonDocument.Parse(bytes).RootElement;
        var frame = new ReceivedFrame(
            Now,
            envelope.GetProperty("type").GetString()!,
            envelope.TryGetProperty("id", out var id) ? id.GetString() : null,
            envelope.GetProperty("payload"));
        lock (gate)
            frames.Add(frame);
        if (frame.Type is "message.new" or "message.sent")
            taken(frame.Message!, frame.At);
        if (frame.Id is not null && waiting.TryGetValue(frame.Id, out var taker))
            taker(frame);
    }

    private void Close(TimeSpan at) => Closing ??= at > Opening ? at : Opening;

    private void Release()
    {
        End ??= Now;
        foreach (var taker in waiting.Values)
            taker(null);
    }
}
