using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// The connections of this node: all of them, for the heartbeat and the drain, and by user, for fan-out. A user may have
/// many. Reads take no lock: a user's connections are a copy-on-write array.
/// </summary>
public sealed class Hub
{
    private readonly ConcurrentDictionary<Guid, Connection> all = new();
    private readonly ConcurrentDictionary<Guid, Connection[]> users = new();
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile NodeState state;
    private int count;
    private int unreleased;

    /// <summary>Whether the node takes new connections.</summary>
    internal NodeState State => state;

    /// <summary>The close for new connections while the node accepts none; null while it does.</summary>
    internal Disconnect? RefusalReason => State switch
    {
        NodeState.Serving => null,
        NodeState.Draining => Disconnect.Draining,
        _ => Disconnect.ServerStopping,
    };

    /// <summary>Every open connection, authenticated or not. Enumerated without a copy, which would be large each second.</summary>
    public IEnumerable<Connection> Connections => all.Select(entry => entry.Value);

    /// <summary>The number of open connections. A field, because every handshake asks and the dictionary's count takes all locks.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>The users with a connection to this node.</summary>
    public ICollection<Guid> Users => users.Keys;

    /// <summary>Returns the open connection with this id; null if there is none.</summary>
    internal Connection? Find(Guid id) => all.GetValueOrDefault(id);

    /// <summary>Returns a user's open connections to this node.</summary>
    public IReadOnlyList<Connection> ConnectionsOf(Guid userId) => users.TryGetValue(userId, out var current) ? current : [];

    /// <summary>Sends a frame to every connection of a user on this node, except one.</summary>
    public void Send(Guid userId, Frame frame, Connection? except = null)
    {
        foreach (var connection in ConnectionsOf(userId))
        {
            if (connection != except)
                connection.Send(frame);
        }
    }

    /// <summary>Completes when the node is stopping and the clean-up of its last connection is done.</summary>
    internal Task Drained => drained.Task;

    /// <summary>
    /// Changes whether the node accepts connections. A caller that then enumerates <see cref="Connections"/> sees every
    /// connection that does not itself observe the new state after its <see cref="Add"/>, so that none is missed.
    /// </summary>
    /// <returns>False if the node is stopping, which is final.</returns>
    internal bool TryTransition(NodeState to)
    {
        for (var now = State; ; now = State)
        {
            if (now == NodeState.Stopping && to != NodeState.Stopping)
                return false;
            if (Interlocked.CompareExchange(ref state, to, now) != now)
                continue;
            SignalIfDrained();
            return true;
        }
    }

    internal void Add(Connection connection)
    {
        Interlocked.Increment(ref unreleased);
        if (all.TryAdd(connection.Id, connection))
            Interlocked.Increment(ref count);
        // The caller reads the state next, and must not see a stale one.
        Interlocked.MemoryBarrier();
    }

    /// <summary>Starts delivering the user's frames to the connection.</summary>
    internal void Join(Connection connection) =>
        users.AddOrUpdate(connection.User.Id, _ => [connection], (_, current) => [.. current, connection]);

    internal void Remove(Connection connection)
    {
        if (all.TryRemove(connection.Id, out _))
            Interlocked.Decrement(ref count);
        if (!connection.IsAuthenticated)
            return;
        var userId = connection.User.Id;
        while (users.TryGetValue(userId, out var current))
        {
            var rest = Array.FindAll(current, other => other != connection);
            var done = rest.Length == 0
                ? users.TryRemove(KeyValuePair.Create(userId, current))
                : users.TryUpdate(userId, rest, current);
            if (done)
                return;
        }
    }

    /// <summary>Signals that the clean-up of an added connection is done.</summary>
    internal void Release()
    {
        Interlocked.Decrement(ref unreleased);
        SignalIfDrained();
    }

    private void SignalIfDrained()
    {
        if (State == NodeState.Stopping && Volatile.Read(ref unreleased) == 0)
            drained.TrySetResult();
    }
}
