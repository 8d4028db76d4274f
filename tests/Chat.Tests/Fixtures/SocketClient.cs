using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Chat.Tests.Fixtures;

/// <summary>
/// A client written against the protocol only: it knows JSON and none of the server's types. It reads continuously and keeps
/// everything, so that a test can ask for a frame before or after it has arrived. Every frame is validated against the
/// contract.
/// </summary>
public sealed class SocketClient : IAsyncDisposable
{
    private readonly WebSocket socket;
    private readonly List<Received> frames = [];
    private readonly HashSet<int> taken = [];
    private readonly Lock gate = new();
    private readonly Task reading;
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int lastId;

    public SocketClient(WebSocket socket)
    {
        this.socket = socket;
        reading = ReadAsync();
    }

    /// <summary>All frames received so far, in order.</summary>
    public IReadOnlyList<Received> Frames
    {
        get
        {
            lock (gate)
                return [.. frames];
        }
    }

    /// <summary>Whether the connection has ended.</summary>
    public bool IsClosed => reading.IsCompleted;

    /// <summary>Returns the server's close code once it has closed; 1006 if the connection broke.</summary>
    public async Task<int> Closed()
    {
        await reading.WaitAsync(Eventually.Timeout);
        return (int)(socket.CloseStatus ?? (WebSocketCloseStatus)1006);
    }

    /// <summary>Waits for and returns the earliest frame of this type that no call has returned yet.</summary>
    public Task<Received> Next(string type) => Take(frame => frame.Type == type, type);

    /// <summary>Waits for the reply to the event with this id.</summary>
    public Task<Received> ReplyTo(string id) => Take(frame => frame.Id == id, $"the reply to {id}");

    /// <summary>Sends an event and returns its direct reply or error.</summary>
    public async Task<Received> Ask(string type, object payload)
    {
        var id = $"q{Interlocked.Increment(ref lastId)}";
        await Send(type, payload, id);
        return await ReplyTo(id);
    }

    /// <summary>Sends an event.</summary>
    public Task Send(string type, object payload, string? id = null)
    {
        var envelope = new JsonObject { ["type"] = type, ["payload"] = JsonSerializer.SerializeToNode(payload) };
        if (id is not null)
            envelope["id"] = id;
        return SendText(envelope.ToJsonString());
    }

    /// <summary>Sends a text frame as is.</summary>
    public Task SendText(string text) => SendBytes(Encoding.UTF8.GetBytes(text));

    /// <summary>Sends bytes as one frame or fragment.</summary>
    public Task SendBytes(byte[] bytes, WebSocketMessageType type = WebSocketMessageType.Text, bool endOfMessage = true) =>
        socket.SendAsync(bytes, type, endOfMessage, CancellationToken.None);

    /// <summary>
    /// A round trip: whatever the server had enqueued for this connection before its reply has arrived. Lets a test prove that
    /// nothing was sent.
    /// </summary>
    public Task Settle() => Ask("ping", new { });

    /// <summary>Discards everything received so far, at the end of a test's setup.</summary>
    public void Forget()
    {
        lock (gate)
        {
            frames.Clear();
            taken.Clear();
        }
    }

    /// <summary>Closes in order, like a client that leaves.</summary>
    public async Task Leave()
    {
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        await reading.WaitAsync(Eventually.Timeout);
    }

    /// <summary>Aborts the connection without a close frame.</summary>
    public void Cut() => socket.Abort();

    public async ValueTask DisposeAsync()
    {
        socket.Abort();
        await reading.WaitAsync(Eventually.Timeout);
        socket.Dispose();
    }

    private async Task<Received> Take(Func<Received, bool> wanted, string what)
    {
        using var timeout = new CancellationTokenSource(Eventually.Timeout);
        while (true)
        {
            Task more;
            lock (gate)
            {
                for (var i = 0; i < frames.Count; i++)
                {
                    if (wanted(frames[i]) && taken.Add(i))
                        return frames[i];
                }

                more = changed.Task;
            }

            // A frame that violates the contract.
            if (reading.IsFaulted)
                await reading;
            if (reading.IsCompleted && more == changed.Task)
                Assert.Fail($"Closed with {socket.CloseStatus} instead of {what}. Came: {Summary()}");
            try
            {
                await Task.WhenAny(more, reading).WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"Not in time: {what}. Came: {Summary()}");
            }
        }
    }

    private string Summary() => string.Join(", ", Frames.Select(frame => frame.Type));

    private async Task ReadAsync()
    {
        var buffer = new byte[1024 * 1024];
        var length = 0;
        try
        {
            while (true)
            {
                var received = await socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    if (socket.State == WebSocketState.CloseReceived)
                        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    return;
                }

                length += received.Count;
                if (!received.EndOfMessage)
                    continue;
                Add(buffer.AsMemory(0, length));
                length = 0;
            }
        }
        catch (Exception failure) when (failure is WebSocketException or IOException or OperationCanceledException
            or ObjectDisposedException or InvalidOperationException)
        {
            // Aborted by either side: Closed() returns 1006.
        }
    }

    private void Add(ReadOnlyMemory<byte> bytes)
    {
        Assert.InRange(bytes.Length, 0, Chat.Socket.Frame.MaxBytes);
        var envelope = JsonDocument.Parse(bytes.ToArray()).RootElement;
        var fault = Contracts.FaultOf(envelope);
        Assert.True(fault is null, fault);
        lock (gate)
        {
            frames.Add(new Received(
                envelope.Text("type"),
                envelope.TryGetProperty("id", out var id) ? id.GetString() : null,
                envelope.Field("payload")));
            var waiting = changed;
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            waiting.SetResult();
        }
    }
}
