using System.Buffers;
using System.Net.WebSockets;

namespace Chat.Bench.Floor;

/// <summary>One socket of the floor's: reads frame by frame, and writes what is queued.</summary>
internal sealed class FloorConnection(WebSocket socket, Guid user) : IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private readonly Queue<byte[]> waiting = new();
    private bool draining;

    public Guid User => user;

    public void Send(byte[] frame)
    {
        lock (gate)
        {
            waiting.Enqueue(frame);
            if (draining)
                return;
            draining = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    public async Task RunAsync(Action<ReadOnlyMemory<byte>> received)
    {
        while (true)
        {
            // Waits without a buffer, as ours does.
            if ((await socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None)).MessageType == WebSocketMessageType.Close)
                return;
            var buffer = ArrayPool<byte>.Shared.Rent(4096);
            var length = 0;
            ValueWebSocketReceiveResult result;
            do
            {
                result = await socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                length += result.Count;
            }
            while (!result.EndOfMessage);
            received(buffer.AsMemory(0, length));
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    void IThreadPoolWorkItem.Execute() => _ = DrainAsync();

    private async Task DrainAsync()
    {
        try
        {
            while (Next() is { } frame)
                await socket.SendAsync(frame, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        }
        catch (Exception gone) when (gone is WebSocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The reading side meets the same end.
        }
    }

    private byte[]? Next()
    {
        lock (gate)
        {
            draining = waiting.TryDequeue(out var frame);
            return frame;
        }
    }
}
