using System.Collections.Concurrent;
using System.Net;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Admission control for handshakes. Bursts are throttled before they cost anything, and a handshake that the process
/// has no file descriptor for is rejected (503 with Retry-After). If the node, the address or the user has too many
/// connections, the socket is closed with "try again later" (1013), which a browser can read. One address gets only a
/// share of the capacity for unauthenticated sockets, and a part of that is reserved for handshakes that carry a token:
/// otherwise a single client could lock everyone else out.
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

    /// <summary>Takes a permit for a handshake.</summary>
    /// <param name="address">The client's address (<see cref="ClientAddress"/>).</param>
    /// <param name="hasToken">Whether it carries a token, valid or not.</param>
    /// <param name="isLast">Whether its socket uses a file descriptor reserved for refusals.</param>
    /// <returns>Zero if admitted; otherwise the delay before the client should retry.</returns>
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
            // Last, so that a handshake refused for other reasons does not use up its address' permits.
            wait = rates.Take((address, hasToken));
            if (wait > TimeSpan.Zero)
                return Refuse("address", nameof(Limits.AddressShare), wait);
            handshakes.Take();
            if (!hasToken)
                handshakesWithoutToken.Take();
        }

        return TimeSpan.Zero;
    }

    /// <summary>Counts a connection until the returned slot is disposed.</summary>
    /// <param name="address">The client's address (<see cref="ClientAddress"/>).</param>
    /// <param name="hasToken">Whether its handshake carried a token.</param>
    /// <returns>Null if the node or the address has reached its limit.</returns>
    public ConnectionSlot? TryEnter(IPAddress address, bool hasToken)
    {
        if (hub.Count >= limits.MaxConnections)
        {
            metrics.LimitHit(nameof(Limits.MaxConnections));
            return null;
        }

        var isFull = Add(addresses, address, 1) > limits.MaxConnectionsPerAddress;
        var slot = new ConnectionSlot(this, address, hasToken);
        if (!isFull)
            return slot;
        metrics.LimitHit(nameof(Limits.MaxConnectionsPerAddress));
        slot.Dispose();
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

    /// <summary>A connection's slot on this node.</summary>
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

        /// <summary>Moves the connection from the unauthenticated ones to its user's.</summary>
        /// <returns>False if the user has reached the limit.</returns>
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

        /// <summary>Stops counting the connection as unauthenticated. Idempotent.</summary>
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
