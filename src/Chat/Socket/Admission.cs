using System.Collections.Concurrent;
using System.Net;

namespace Chat.Socket;

/// <summary>
/// Who gets in. A storm of handshakes is slowed down before it costs anything (503 with Retry-After); a node, an
/// address or a user with too many connections gets a close that says to come back later (1013), which a browser can
/// read. Without these one client could take the node from all others.
/// </summary>
internal sealed class Admission(Hub hub, Limits limits, TimeProvider time)
{
    private readonly ConcurrentDictionary<IPAddress, int> addresses = new();
    private readonly TokenBucket handshakes = new(limits.HandshakesPerSecond, time);
    private readonly Lock gate = new();
    private int unauthenticated;

    /// <summary>Whether a handshake may be answered at all just now.</summary>
    /// <returns>Zero, or how long the client should wait.</returns>
    public TimeSpan MayShakeHands()
    {
        if (hub.IsStopping || Volatile.Read(ref unauthenticated) >= limits.MaxUnauthenticated)
            return TimeSpan.FromSeconds(1);
        lock (gate)
            return handshakes.Take();
    }

    /// <summary>Counts a connection in, until what is returned is disposed.</summary>
    /// <returns>Null if the node or the address has too many already.</returns>
    public Place? TryEnter(IPAddress? address)
    {
        if (hub.Connections.Count >= limits.MaxConnections)
            return null;
        // TestServer and Unix sockets have no address.
        var from = address ?? IPAddress.None;
        var isFull = addresses.AddOrUpdate(from, 1, (_, count) => count + 1) > limits.MaxConnectionsPerAddress;
        Interlocked.Increment(ref unauthenticated);
        var place = new Place(this, from);
        if (!isFull)
            return place;
        place.Dispose();
        return null;
    }

    /// <summary>Whether one more connection would be too many for a user.</summary>
    public bool IsFull(Guid userId) => hub.ConnectionsOf(userId).Count >= limits.MaxConnectionsPerUser;

    /// <summary>One connection's place on this node.</summary>
    public sealed class Place(Admission admission, IPAddress address) : IDisposable
    {
        private int isAuthenticated;

        /// <summary>The connection has shown a token; it no longer counts among those that have not.</summary>
        public void Authenticated()
        {
            if (Interlocked.Exchange(ref isAuthenticated, 1) == 0)
                Interlocked.Decrement(ref admission.unauthenticated);
        }

        public void Dispose()
        {
            Authenticated();
            if (admission.addresses.AddOrUpdate(address, 0, (_, count) => count - 1) <= 0)
                admission.addresses.TryRemove(KeyValuePair.Create(address, 0));
        }
    }
}
