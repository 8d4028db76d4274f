using System.Net.WebSockets;
using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>A socket that keeps what is written to it, for tests of one part of the server alone.</summary>
public sealed class Recording : WebSocket
{
    private readonly List<Received> frames = [];
    private readonly Lock gate = new();
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What a write waits for: the other side's reading.</summary>
    public Task Reading { get; set; } = Task.CompletedTask;

    public override WebSocketCloseStatus? CloseStatus => null;

    public override string? CloseStatusDescription => null;

    public override WebSocketState State => WebSocketState.Open;

    public override string? SubProtocol => null;

    /// <summary>Everything before the frame with this id, once that one has come.</summary>
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

            await more.WaitAsync(Eventually.Patience);
        }
    }

    public override Task SendAsync(ArraySegment<byte> buffer, WebSocketMessageType messageType, bool endOfMessage, CancellationToken cancellationToken)
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

    public override Task CloseAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) => Task.CompletedTask;

    public override Task CloseOutputAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Dispose()
    {
    }

    public override Task<WebSocketReceiveResult> ReceiveAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken) =>
        throw new NotSupportedException("Nobody speaks here.");
}
