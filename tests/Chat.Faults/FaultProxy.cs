using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using TcpSocket = System.Net.Sockets.Socket;

namespace Chat.Faults;

/// <summary>What happens to the bytes of one direction.</summary>
internal enum Way
{
    /// <summary>They are forwarded.</summary>
    Open,

    /// <summary>They are held; the sender blocks once the buffers are full.</summary>
    Stalled,

    /// <summary>They are read and discarded until the connection closes.</summary>
    Swallowed,
}

/// <summary>
/// A TCP proxy between a node and one of its servers, or between a client and a node, that simulates network faults: latency,
/// silence in one or both directions, cuts after a number of bytes or at a certain place, resets and refusals. It knows no
/// protocol.
/// </summary>
internal sealed class FaultProxy : IAsyncDisposable
{
    private readonly int target;
    private readonly CancellationTokenSource stopping = new();
    private readonly ConcurrentDictionary<Link, byte> links = new();
    private readonly Lock gate = new();
    private TcpListener? listener;
    private Func<ReadOnlyMemory<byte>, bool>? cutAnswer;
    private long cutAfter = long.MaxValue;

    public FaultProxy(int port, int target)
    {
        this.target = target;
        Port = port;
        Accept();
    }

    public int Port { get; }

    /// <summary>The direction towards the server.</summary>
    public Way Requests { get; set; }

    /// <summary>The direction back from the server.</summary>
    public Way Answers { get; set; }

    /// <summary>The latency added to each direction.</summary>
    public TimeSpan Latency { get; set; }

    /// <summary>The number of connections it has cut.</summary>
    public int Cuts { get; private set; }

    /// <summary>The local ports of its connections to the server.</summary>
    public IReadOnlyList<int> Ports => [.. links.Keys.Select(link => link.Port)];

    /// <summary>Sets both directions.</summary>
    public void Set(Way way) => (Requests, Answers) = (way, way);

    /// <summary>Cuts one connection when the server's reply matches; the reply is not delivered.</summary>
    public void CutAnswer(Func<ReadOnlyMemory<byte>, bool> isIt) => Volatile.Write(ref cutAnswer, isIt);

    /// <summary>Cuts each connection from now on after the server has sent this many bytes, wherever that is.</summary>
    public void CutAfter(long bytes) => Volatile.Write(ref cutAfter, bytes);

    /// <summary>Resets all connections (RST, not FIN).</summary>
    public void Reset()
    {
        foreach (var link in links.Keys)
            link.Reset();
    }

    /// <summary>Stops listening and resets all connections.</summary>
    public void Refuse()
    {
        lock (gate)
        {
            listener?.Stop();
            listener = null;
        }

        Reset();
    }

    /// <summary>Removes all faults.</summary>
    public void Heal()
    {
        Set(Way.Open);
        Latency = TimeSpan.Zero;
        Volatile.Write(ref cutAnswer, null);
        Volatile.Write(ref cutAfter, long.MaxValue);
        lock (gate)
        {
            if (listener is null)
                Accept();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        Refuse();
        stopping.Dispose();
    }

    private void Accept()
    {
        listener = new TcpListener(IPAddress.Loopback, Port);
        listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Start(1000);
        _ = AcceptAsync(listener);
    }

    private async Task AcceptAsync(TcpListener accepting)
    {
        try
        {
            while (true)
            {
                var client = await accepting.AcceptSocketAsync(stopping.Token);
                client.NoDelay = true;
                _ = ServeAsync(client);
            }
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException or OperationCanceledException
            or InvalidOperationException)
        {
            // Refusing, or disposed.
        }
    }

    private async Task ServeAsync(TcpSocket client)
    {
        var server = new TcpSocket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var link = new Link(client, server);
        links.TryAdd(link, 0);
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, target, stopping.Token);
            link.Port = ((IPEndPoint)server.LocalEndPoint!).Port;
            // TCP allows either direction to be closed alone; an error breaks both.
            Task[] pumps = [PumpAsync(link, client, server, () => Requests, isAnswer: false),
                PumpAsync(link, server, client, () => Answers, isAnswer: true)];
            await await Task.WhenAny(pumps);
            await Task.WhenAll(pumps);
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            link.Reset();
        }
        finally
        {
            links.TryRemove(link, out _);
        }
    }

    private async Task PumpAsync(Link link, TcpSocket from, TcpSocket to, Func<Way> way, bool isAnswer)
    {
        var buffer = new byte[32 * 1024];
        var passed = 0L;
        while (await ReceiveAsync() is > 0 and var count)
        {
            if (Latency > TimeSpan.Zero)
                await Task.Delay(Latency, stopping.Token);
            while (way() == Way.Stalled)
                await Task.Delay(10, stopping.Token);
            if (way() == Way.Swallowed)
                continue;
            var bytes = buffer.AsMemory(0, count);
            if (isAnswer && Volatile.Read(ref cutAnswer) is { } isIt
                && isIt(bytes) && Interlocked.CompareExchange(ref cutAnswer, null, isIt) == isIt)
            {
                Cut(link);
                return;
            }

            if (isAnswer && passed + count > Volatile.Read(ref cutAfter))
            {
                await to.SendAsync(bytes[..(int)Math.Max(0, Volatile.Read(ref cutAfter) - passed)], stopping.Token);
                Cut(link);
                return;
            }

            passed += count;
            for (var sent = 0; sent < count;)
                sent += await to.SendAsync(bytes[sent..], stopping.Token);
        }

        to.Shutdown(SocketShutdown.Send);

        // A silent network does not deliver the end either.
        async Task<int> ReceiveAsync()
        {
            var received = 0;
            try
            {
                received = await from.ReceiveAsync(buffer, stopping.Token);
            }
            catch (SocketException) when (way() != Way.Open)
            {
                // Forwarded below, once the network is no longer silent.
            }

            while (received == 0 && way() != Way.Open)
                await Task.Delay(10, stopping.Token);
            return received;
        }
    }

    private void Cut(Link link)
    {
        lock (gate)
            Cuts++;
        link.Reset();
    }

    private sealed class Link(TcpSocket client, TcpSocket server) : IDisposable
    {
        public int Port { get; set; }

        public void Reset()
        {
            foreach (var socket in (TcpSocket[])[client, server])
            {
                try
                {
                    socket.LingerState = new LingerOption(true, 0);
                }
                catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
                {
                    // Already closed.
                }

                socket.Dispose();
            }
        }

        public void Dispose()
        {
            client.Dispose();
            server.Dispose();
        }
    }
}
