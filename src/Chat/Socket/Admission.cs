using System.Collections.Concurrent;
using System.Net;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Who gets in. A storm of handshakes is slowed down before it costs anything, and what the process has no file descriptor
/// for is turned away (503 with Retry-After); a node, an address or a user with too many connections gets a close that
/// says to come back later (1013), which a browser can read. Of what is there for those without a token one address may
/// take a part only, and a part is kept for handshakes that carry one. Without these one client could take the node from
/// all others.
/// </summary>
internal sealed class Admission
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly Hub hub;
    private readonly Limits limits;
    private readonly ServerMetrics metrics;
    private readonly ConcurrentDictionary<Guid, int> users = new();
    private readonly ConcurrentDictionary<IPAddress, int> addresses = new();
    private readonly ConcurrentDictionary<(IPAddress Address, bool HasToken), int> unauthenticatedByAddress = new();
    private readonly TokenBucket handshakes;
    private readonly TokenBucket handshakesWithoutToken;
    private readonly HandshakeRateLimiter rates;
    private readonly Lock gate = new();
    private int authenticated;
    private int unauthenticated;
    private int unauthenticatedWithoutToken;

    public Admission(Hub hub, Limits limits, HandshakeRateLimiter rates, ServerMetrics metrics, TimeProvider time)
    {
        this.hub = hub;
        this.limits = limits;
        this.rates = rates;
        this.metrics = metrics;
        handshakes = new TokenBucket(limits.HandshakesPerSecond, time);
        handshakesWithoutToken = new TokenBucket(Limits.AvailableWithoutToken(limits.HandshakesPerSecond), time);
        metrics.ObserveConnections(() =>
        {
            var with = Volatile.Read(ref authenticated);
            return (with, Math.Max(0, hub.Count - with));
        });
    }

    /// <summary>Whether a handshake may be answered at all just now.</summary>
    /// <param name="address">Where it comes from (<see cref="ClientAddress"/>).</param>
    /// <param name="hasToken">Whether it carries a token, be it good or bad.</param>
    /// <param name="isLast">Whether it has come on one of the last file descriptors.</param>
    /// <returns>Zero, or how long the client should wait.</returns>
    public TimeSpan AcquireHandshakePermit(IPAddress address, bool hasToken, bool isLast)
    {
        if (hub.State is not NodeState.Serving and var state)
            return Refuse(state == NodeState.Stopping ? "stopping" : "draining", null, RetryDelay);
        if (isLast)
            return Refuse("files", null, RetryDelay);
        if (Volatile.Read(ref unauthenticated) >= limits.MaxUnauthenticated
            || (!hasToken && Volatile.Read(ref unauthenticatedWithoutToken) >= Limits.AvailableWithoutToken(limits.MaxUnauthenticated)))
            return Refuse("unauthenticated", nameof(Limits.MaxUnauthenticated), RetryDelay);
        if (unauthenticatedByAddress.GetValueOrDefault((address, hasToken)) >= limits.ShareOf(limits.MaxUnauthenticated))
            return Refuse("address", nameof(Limits.AddressShare), RetryDelay);
        lock (gate)
        {
            var wait = hasToken || handshakes.Wait > handshakesWithoutToken.Wait ? handshakes.Wait : handshakesWithoutToken.Wait;
            if (wait > TimeSpan.Zero)
                return Refuse("rate", nameof(Limits.HandshakesPerSecond), wait);
            // Last, so that what is refused for all takes nothing from an address.
            wait = rates.Take((address, hasToken));
            if (wait > TimeSpan.Zero)
                return Refuse("address", nameof(Limits.AddressShare), wait);
            handshakes.Take();
            if (!hasToken)
                handshakesWithoutToken.Take();
        }

        return TimeSpan.Zero;
    }

    /// <summary>Counts a connection in, until what is returned is disposed.</summary>
    /// <param name="address">Where it comes from (<see cref="ClientAddress"/>).</param>
    /// <param name="hasToken">Whether its handshake carried a token.</param>
    /// <returns>Null if the node or the address has too many already.</returns>
    public ConnectionSlot? TryEnter(IPAddress address, bool hasToken)
    {
        if (hub.Count >= limits.MaxConnections)
        {
            metrics.LimitHit(nameof(Limits.MaxConnections));
            return null;
        }

        var isFull = Add(addresses, address, 1) > limits.MaxConnectionsPerAddress;
        var place = new ConnectionSlot(this, address, hasToken);
        if (!isFull)
            return place;
        metrics.LimitHit(nameof(Limits.MaxConnectionsPerAddress));
        place.Dispose();
        return null;
    }

    private TimeSpan Refuse(string reason, string? limit, TimeSpan wait)
    {
        metrics.HandshakeRefused(reason);
        if (limit is not null)
            metrics.LimitHit(limit);
        return wait;
    }

    private void CountUnauthenticated(IPAddress address, bool hasToken, int change)
    {
        Interlocked.Add(ref unauthenticated, change);
        if (!hasToken)
            Interlocked.Add(ref unauthenticatedWithoutToken, change);
        Add(unauthenticatedByAddress, (address, hasToken), change);
    }

    /// <summary>One connection's place on this node.</summary>
    public sealed class ConnectionSlot : IDisposable
    {
        private readonly Admission admission;
        private readonly IPAddress address;
        private readonly bool hasToken;
        private Guid? userId;
        private int hasLeftUnauthenticated;

        internal ConnectionSlot(Admission admission, IPAddress address, bool hasToken)
        {
            (this.admission, this.address, this.hasToken) = (admission, address, hasToken);
            admission.CountUnauthenticated(address, hasToken, 1);
        }

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
            Interlocked.Increment(ref admission.authenticated);
            LeaveUnauthenticated();
            return true;
        }

        /// <summary>The connection is no longer one that may still show its first token.</summary>
        public void LeaveUnauthenticated()
        {
            if (Interlocked.Exchange(ref hasLeftUnauthenticated, 1) == 0)
                admission.CountUnauthenticated(address, hasToken, -1);
        }

        public void Dispose()
        {
            LeaveUnauthenticated();
            if (userId is { } user)
            {
                Add(admission.users, user, -1);
                Interlocked.Decrement(ref admission.authenticated);
            }

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
