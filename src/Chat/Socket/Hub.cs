using System.Collections.Concurrent;

namespace Chat.Socket;

/// <summary>
/// The connections of this node: all of them, for the heartbeat and the drain, and those of each user, for fan-out.
/// A user may have many. Reading takes no lock: a user's connections are an array that is replaced, never changed.
/// </summary>
public sealed class Hub
{
    private readonly ConcurrentDictionary<Guid, Connection> all = new();
    private readonly ConcurrentDictionary<Guid, Connection[]> users = new();
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile NodeState state;
    private int count;
    private int held;

    /// <summary>Whether the node takes new connections.</summary>
    internal NodeState State => state;

    /// <summary>What new connections are closed with, because the node takes none; null if it does.</summary>
    internal Disconnect? RefusalReason => State switch
    {
        NodeState.Serving => null,
        NodeState.Draining => Disconnect.Draining,
        _ => Disconnect.ServerStopping,
    };

    /// <summary>Every open connection, signed in or not. No copy, which would be a large one each second.</summary>
    public IEnumerable<Connection> Connections => all.Select(entry => entry.Value);

    /// <summary>How many there are of these. Asked at every handshake, and the dictionary takes all its locks to answer.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>The users with a connection to this node.</summary>
    public ICollection<Guid> Users => users.Keys;

    /// <summary>The open connection with this id; null if there is none.</summary>
    internal Connection? Find(Guid id) => all.GetValueOrDefault(id);

    /// <summary>The open connections of a user to this node; empty if there is none.</summary>
    public IReadOnlyList<Connection> ConnectionsOf(Guid userId) => users.TryGetValue(userId, out var own) ? own : [];

    /// <summary>Sends a frame to every connection of a user on this node, but to one if asked.</summary>
    public void Send(Guid userId, Frame frame, Connection? except = null)
    {
        foreach (var connection in ConnectionsOf(userId))
        {
            if (connection != except)
                connection.Send(frame);
        }
    }

    /// <summary>Completes when the node is stopping, and whatever the end of its last connection brought is done.</summary>
    internal Task Drained => drained.Task;

    /// <summary>
    /// Lets new connections in, or no longer. Whoever does that, and then looks at <see cref="Connections"/>, sees each connection
    /// that does not itself see the new state behind its <see cref="Add"/>: between the two nobody is overlooked.
    /// </summary>
    /// <returns>False if the node is stopping, which is for good.</returns>
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
        Interlocked.Increment(ref held);
        if (all.TryAdd(connection.Id, connection))
            Interlocked.Increment(ref count);
        // Whoever adds looks at the state next, and must not see one from before.
        Interlocked.MemoryBarrier();
    }

    /// <summary>From here on the connection gets what is sent to its user.</summary>
    internal void Join(Connection connection) =>
        users.AddOrUpdate(connection.User.Id, _ => [connection], (_, own) => [.. own, connection]);

    internal void Remove(Connection connection)
    {
        if (all.TryRemove(connection.Id, out _))
            Interlocked.Decrement(ref count);
        if (!connection.IsAuthenticated)
            return;
        var userId = connection.User.Id;
        while (users.TryGetValue(userId, out var own))
        {
            var rest = Array.FindAll(own, other => other != connection);
            var done = rest.Length == 0
                ? users.TryRemove(KeyValuePair.Create(userId, own))
                : users.TryUpdate(userId, rest, own);
            if (done)
                return;
        }
    }

    /// <summary>The end of a connection that was added is over and done with.</summary>
    internal void Release()
    {
        Interlocked.Decrement(ref held);
        SignalIfDrained();
    }

    private void SignalIfDrained()
    {
        if (State == NodeState.Stopping && Volatile.Read(ref held) == 0)
            drained.TrySetResult();
    }
}
