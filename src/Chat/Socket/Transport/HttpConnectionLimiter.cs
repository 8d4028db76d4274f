using System.Net;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Connections;
using IPNetwork = System.Net.IPNetwork;

namespace Chat.Socket;

/// <summary>
/// The TCP connections that carry no WebSocket: counted from their acceptance on, in all and by address, because each takes
/// a file descriptor before it has said a word. Where there are too many, the one that has been silent for longest makes
/// room, so that whoever asks for something at once is served, however many only hold on. Behind a known proxy an address
/// says nothing.
/// </summary>
internal sealed class HttpConnectionLimiter(Limits limits, ServerMetrics metrics, TimeProvider time, IConfiguration configuration)
{
    // Where few files may be open, half of them are for WebSockets; but so many connections any node must bear.
    private const int Minimum = 64;
    private readonly IPNetwork[] proxies = Proxies.Networks(configuration);
    private readonly Lock gate = new();
    private readonly LinkedList<TcpConnection> all = new();
    private readonly Dictionary<IPAddress, LinkedList<TcpConnection>> addresses = [];
    private int limit = limits.MaxHttpConnections;

    /// <summary>Takes into account how many connections there are file descriptors for.</summary>
    public void LimitTo(long room) => limit = (int)Math.Min(limit, Math.Max(Minimum, room / 2));

    /// <summary>Counts a connection in, until it leaves.</summary>
    public void Add(TcpConnection connection)
    {
        TcpConnection? evicted;
        lock (gate)
        {
            // One whose last WebSocket outlived it.
            if (connection.HasEnded)
                return;
            connection.Entry = new Entry(AddressOf(connection), time.GetTimestamp()) { HasReceived = connection.Entry?.HasReceived == true };
            Append(connection);
            evicted = FindExcess(connection.Entry.Address);
            if (evicted is not null)
                Remove(evicted);
        }

        evicted?.Abort(new ConnectionAbortedException("Too many connections."));
    }

    /// <summary>Something has come from a connection.</summary>
    public void OnActivity(TcpConnection connection)
    {
        lock (gate)
        {
            if (connection.Entry is not { IsCounted: true } place)
                return;
            Remove(connection);
            (place.LastActivityAt, place.HasReceived) = (time.GetTimestamp(), true);
            Append(connection);
        }
    }

    /// <summary>A connection has ended, or carries a WebSocket, which is counted as such.</summary>
    /// <param name="connection">It.</param>
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

    /// <summary>Ends those that have not sent a byte in time. Called by the heartbeat.</summary>
    public void CloseSilent()
    {
        List<TcpConnection> silent = [];
        lock (gate)
        {
            for (var node = all.First; node is not null && time.GetElapsedTime(node.Value.Entry!.LastActivityAt) >= limits.RequestHeadersTimeout; node = node.Next)
            {
                if (!node.Value.Entry!.HasReceived)
                    silent.Add(node.Value);
            }

            silent.ForEach(Remove);
        }

        foreach (var connection in silent)
        {
            metrics.LimitHit(nameof(Limits.RequestHeadersTimeout));
            connection.Abort(new ConnectionAbortedException("Nothing came in time."));
        }
    }

    // Longest silent first, in both lists.
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
        var place = connection.Entry!;
        place.IsCounted = true;
        all.AddLast(place.InAll ??= new(connection));
        if (place.Address is null)
            return;
        if (!addresses.TryGetValue(place.Address, out var own))
            addresses.Add(place.Address, own = new());
        own.AddLast(place.InAddress ??= new(connection));
    }

    private void Remove(TcpConnection connection)
    {
        var place = connection.Entry!;
        place.IsCounted = false;
        all.Remove(place.InAll!);
        if (place.Address is null)
            return;
        var own = addresses[place.Address];
        own.Remove(place.InAddress!);
        if (own.Count == 0)
            addresses.Remove(place.Address);
    }

    private IPAddress? AddressOf(TcpConnection connection)
    {
        if (connection.RemoteEndPoint is not IPEndPoint { Address: var address })
            return null;
        var plain = ClientAddress.Unmapped(address);
        return Array.Exists(proxies, network => network.Contains(plain)) ? null : ClientAddress.Of(address);
    }

    /// <summary>Where a connection stands here; only touched under the gate.</summary>
    /// <param name="address">The client's; null where it says nothing.</param>
    /// <param name="since">When it came.</param>
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
