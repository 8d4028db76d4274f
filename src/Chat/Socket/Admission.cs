using System.Collections.Concurrent;
using System.Net;

namespace Chat.Socket;

/// <summary>
/// Who gets in. A storm of handshakes is slowed down before it costs anything, and what the process has no file descriptor
/// for is turned away (503 with Retry-After); a node, an address or a user with too many connections gets a close that
/// says to come back later (1013), which a browser can read. Without these one client could take the node from all others.
/// </summary>
internal sealed class Admission
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);
    private readonly Hub hub;
    private readonly Limits limits;
    private readonly ServerMetrics metrics;
    private readonly ConcurrentDictionary<Guid, int> users = new();
    private readonly ConcurrentDictionary<IPAddress, int> addresses = new();
    private readonly TokenBucket handshakes;
    private readonly Lock gate = new();
    private int unauthenticated;

    public Admission(Hub hub, Limits limits, ServerMetrics metrics, TimeProvider time)
    {
        this.hub = hub;
        this.limits = limits;
        this.metrics = metrics;
        handshakes = new TokenBucket(limits.HandshakesPerSecond, time);
        metrics.WatchConnections(() =>
        {
            var without = Volatile.Read(ref unauthenticated);
            return (Math.Max(0, hub.Count - without), without);
        });
    }

    /// <summary>Whether a handshake may be answered at all just now.</summary>
    /// <param name="isLast">Whether it has come on one of the last file descriptors.</param>
    /// <returns>Zero, or how long the client should wait.</returns>
    public TimeSpan MayShakeHands(bool isLast)
    {
        if (hub.IsStopping)
        {
            metrics.HandshakeRefused("stopping");
            return Moment;
        }

        if (isLast)
        {
            metrics.HandshakeRefused("files");
            return Moment;
        }

        if (Volatile.Read(ref unauthenticated) >= limits.MaxUnauthenticated)
        {
            metrics.HandshakeRefused("unauthenticated");
            metrics.LimitHit(nameof(Limits.MaxUnauthenticated));
            return Moment;
        }

        TimeSpan wait;
        lock (gate)
            wait = handshakes.Take();
        if (wait > TimeSpan.Zero)
        {
            metrics.HandshakeRefused("rate");
            metrics.LimitHit(nameof(Limits.HandshakesPerSecond));
        }

        return wait;
    }

    /// <summary>Counts a connection in, until what is returned is disposed.</summary>
    /// <returns>Null if the node or the address has too many already.</returns>
    public Place? TryEnter(IPAddress? address)
    {
        if (hub.Count >= limits.MaxConnections)
        {
            metrics.LimitHit(nameof(Limits.MaxConnections));
            return null;
        }

        // TestServer and Unix sockets have no address.
        var from = address ?? IPAddress.None;
        var isFull = Add(addresses, from, 1) > limits.MaxConnectionsPerAddress;
        Interlocked.Increment(ref unauthenticated);
        var place = new Place(this, from);
        if (!isFull)
            return place;
        metrics.LimitHit(nameof(Limits.MaxConnectionsPerAddress));
        place.Dispose();
        return null;
    }

    /// <summary>One connection's place on this node.</summary>
    public sealed class Place(Admission admission, IPAddress address) : IDisposable
    {
        private Guid? userId;

        /// <summary>The connection has shown a token: it counts among its user's now, and no longer among those without.</summary>
        /// <returns>False if the user has too many already.</returns>
        public bool TryAuthenticate(Guid user)
        {
            if (Add(admission.users, user, 1) > admission.limits.MaxConnectionsPerUser)
            {
                Add(admission.users, user, -1);
                admission.metrics.LimitHit(nameof(Limits.MaxConnectionsPerUser));
                return false;
            }

            userId = user;
            Interlocked.Decrement(ref admission.unauthenticated);
            return true;
        }

        public void Dispose()
        {
            if (userId is { } user)
                Add(admission.users, user, -1);
            else
                Interlocked.Decrement(ref admission.unauthenticated);
            Add(admission.addresses, address, -1);
        }
    }

    private static int Add<TKey>(ConcurrentDictionary<TKey, int> counts, TKey key, int change)
        where TKey : notnull
    {
        var count = counts.AddOrUpdate(key, change, (_, known) => known + change);
        if (count == 0)
            counts.TryRemove(KeyValuePair.Create(key, 0));
        return count;
    }
}
