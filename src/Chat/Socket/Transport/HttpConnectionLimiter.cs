using System.Net;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Connections;
using IPNetwork = System.Net.IPNetwork;

namespace Chat.Socket;

/// <summary>
/// Limits TCP connections that carry no WebSocket. They are counted from acceptance, in total and by address, because
/// each takes a file descriptor before it has sent a byte. Over the limit, the connection idle for longest is evicted, so
/// that active clients are served however many connections merely stay open. Addresses of known proxies are not limited.
/// </summary>
internal sealed class HttpConnectionLimiter(Limits limits, ServerMetrics metrics, TimeProvider time, IConfiguration configuration)
{
    // With few file descriptors half of them are for WebSockets; but any node must support this many.
    private const int Minimum = 64;
    private readonly IPNetwork[] proxies = Proxies.Networks(configuration);
    private readonly Lock gate = new();
    private readonly LinkedList<TcpConnection> all = new();
    private readonly Dictionary<IPAddress, LinkedList<TcpConnection>> addresses = [];
    private int limit = limits.MaxHttpConnections;

    /// <summary>Lowers the limit to the file descriptors available.</summary>
    public void LimitTo(long room) => limit = (int)Math.Min(limit, Math.Max(Minimum, room / 2));

    /// <summary>Starts counting a connection.</summary>
    public void Add(TcpConnection connection)
    {
        TcpConnection? evicted;
        lock (gate)
        {
            // Its last WebSocket outlived it.
            if (connection.HasEnded)
                return;
            connection.Entry =
                new Entry(AddressOf(connection), time.GetTimestamp()) { HasReceived = connection.Entry?.HasReceived == true };
            Append(connection);
            evicted = FindExcess(connection.Entry.Address);
            if (evicted is not null)
                Remove(evicted);
        }

        evicted?.Abort(new ConnectionAbortedException("Too many connections."));
    }

    /// <summary>Records that a connection received data.</summary>
    public void OnActivity(TcpConnection connection)
    {
        lock (gate)
        {
            if (connection.Entry is not { IsCounted: true } entry)
                return;
            Remove(connection);
            (entry.LastActivityAt, entry.HasReceived) = (time.GetTimestamp(), true);
            Append(connection);
        }
    }

    /// <summary>Stops counting a connection that has ended or carries a WebSocket, which is counted elsewhere.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="isOver">Whether it has ended.</param>
    public void Remove(TcpConnection connection, bool isOver = false)
    {
        lock (gate)
        {
            connection.HasEnded |= isOver;
            if (connection.Entry is { IsCounted: true })
                Remove(connection);
        }
    }

    /// <summary>Aborts connections that have not sent a byte in time. Called by the heartbeat.</summary>
    public void CloseSilent()
    {
        List<TcpConnection> silent = [];
        lock (gate)
        {
            for (var node = all.First; node is not null
                && time.GetElapsedTime(node.Value.Entry!.LastActivityAt) >= limits.RequestHeadersTimeout; node = node.Next)
            {
                if (!node.Value.Entry!.HasReceived)
                    silent.Add(node.Value);
            }

            silent.ForEach(Remove);
        }

        foreach (var connection in silent)
        {
            metrics.LimitHit(nameof(Limits.RequestHeadersTimeout));
            connection.Abort(new ConnectionAbortedException("No request was received in time."));
        }
    }

    // Both lists are ordered by last activity, oldest first.
    private TcpConnection? FindExcess(IPAddress? address)
    {
        if (all.Count > limit)
        {
            metrics.LimitHit(nameof(Limits.MaxHttpConnections));
            return all.First!.Value;
        }

        if (address is null || addresses[address].Count <= limits.ShareOf(limit))
            return null;
        metrics.LimitHit(nameof(Limits.AddressShare));
        return addresses[address].First!.Value;
    }

    private void Append(TcpConnection connection)
    {
        var entry = connection.Entry!;
        entry.IsCounted = true;
        all.AddLast(entry.InAll ??= new(connection));
        if (entry.Address is null)
            return;
        if (!addresses.TryGetValue(entry.Address, out var sameAddress))
            addresses.Add(entry.Address, sameAddress = new());
        sameAddress.AddLast(entry.InAddress ??= new(connection));
    }

    private void Remove(TcpConnection connection)
    {
        var entry = connection.Entry!;
        entry.IsCounted = false;
        all.Remove(entry.InAll!);
        if (entry.Address is null)
            return;
        var sameAddress = addresses[entry.Address];
        sameAddress.Remove(entry.InAddress!);
        if (sameAddress.Count == 0)
            addresses.Remove(entry.Address);
    }

    private IPAddress? AddressOf(TcpConnection connection)
    {
        if (connection.RemoteEndPoint is not IPEndPoint { Address: var address })
            return null;
        var unmapped = ClientAddress.Unmapped(address);
        return Array.Exists(proxies, network => network.Contains(unmapped)) ? null : ClientAddress.Of(address);
    }

    /// <summary>A connection's state in this limiter; guarded by the lock.</summary>
    /// <param name="address">The client's address; null if it is a proxy's or unknown.</param>
    /// <param name="since">When it was accepted.</param>
    internal sealed class Entry(IPAddress? address, long since)
    {
        public IPAddress? Address => address;

        public long LastActivityAt { get; set; } = since;

        public bool HasReceived { get; set; }

        public bool IsCounted { get; set; }

        public LinkedListNode<TcpConnection>? InAll { get; set; }

        public LinkedListNode<TcpConnection>? InAddress { get; set; }
    }
}
