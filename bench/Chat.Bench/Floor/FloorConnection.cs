using System.Buffers;
using System.Net.WebSockets;

namespace Chat.Bench.Floor;

/// <summary>A WebSocket of the baseline server: reads frame by frame, and sends queued frames.</summary>
internal sealed class FloorConnection(WebSocket socket, Guid user) : IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private readonly Queue<byte[]> queue = new();
    private bool draining;

    public Guid User => user;

    public void Send(byte[] frame)
    {
        lock (gate)
        {
            queue.Enqueue(frame);
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
            // Waits without a buffer, like the chat server.
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
        catch (Exception exception) when (exception is WebSocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The receive loop fails as well and ends the connection.
        }
    }

    private byte[]? Next()
    {
        lock (gate)
        {
            draining = queue.TryDequeue(out var frame);
            return frame;
        }
    }
}
