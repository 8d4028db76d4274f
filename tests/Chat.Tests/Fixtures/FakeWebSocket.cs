using System.Net.WebSockets;
using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>A WebSocket that records what is written to it, to test a component in isolation.</summary>
public sealed class FakeWebSocket : WebSocket
{
    private readonly List<Received> frames = [];
    private readonly Lock gate = new();
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What writes wait for, to simulate a slow reader.</summary>
    public Task Reading { get; set; } = Task.CompletedTask;

    public override WebSocketCloseStatus? CloseStatus => null;

    public override string? CloseStatusDescription => null;

    public override WebSocketState State => WebSocketState.Open;

    public override string? SubProtocol => null;

    /// <summary>Waits for the frame with this id and returns everything before it.</summary>
    public async Task<IReadOnlyList<Received>> Until(string id)
    {
        while (true)
        {
            Task more;
            lock (gate)
            {
                if (frames.Exists(frame => frame.Id == id))
                    return [.. frames.TakeWhile(frame => frame.Id != id)];
                more = changed.Task;
            }

            await more.WaitAsync(Eventually.Timeout);
        }
    }

    public override Task SendAsync(
        ArraySegment<byte> buffer, WebSocketMessageType messageType, bool endOfMessage, CancellationToken cancellationToken)
    {
        var envelope = JsonDocument.Parse(buffer.ToArray()).RootElement;
        Assert.Null(Contracts.FaultOf(envelope));
        lock (gate)
        {
            frames.Add(new Received(
                envelope.GetProperty("type").GetString()!,
                envelope.TryGetProperty("id", out var id) ? id.GetString() : null,
                envelope.GetProperty("payload")));
            changed.SetResult();
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return Reading;
    }

    public override void Abort()
    {
    }

    public override Task CloseAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    public override Task CloseOutputAsync(
        WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Dispose()
    {
    }

    public override Task<WebSocketReceiveResult> ReceiveAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken) =>
        throw new NotSupportedException("Nobody speaks here.");
}
