using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>Every key and channel that the server uses in Redis. All of them may be lost at any time without data loss.</summary>
/// <param name="prefix">Separates installations that share one Redis; empty by default.</param>
public sealed class RedisKeys(string prefix)
{
    /// <summary>Channel: a user's events, for the nodes with connections of the user.</summary>
    public string UserChannel(Guid userId) => $"{prefix}chat:user:{userId}";

    /// <summary>Channel: events for all nodes.</summary>
    public string AllNodesChannel => $"{prefix}chat:all";

    /// <summary>Channel: the nodes' heartbeats.</summary>
    public string HeartbeatChannel => $"{prefix}chat:nodes";

    /// <summary>Channel: a node's probe messages to itself, which check that pub/sub works.</summary>
    public string Node(Guid nodeId) => $"{prefix}chat:node:{nodeId}";

    /// <summary>String: written by a node's probe to check write access; expires after seconds.</summary>
    public RedisKey Ready(Guid nodeId) => $"{prefix}ready:{nodeId}";

    /// <summary>Sorted set: a user's connections, scored by their lease's expiry in Unix milliseconds.</summary>
    public RedisKey Online(Guid userId) => $"{prefix}online:{userId}";

    /// <summary>Sorted set: the online users, scored by the expiry of their latest lease.</summary>
    public RedisKey Leases => $"{prefix}leases";
}
