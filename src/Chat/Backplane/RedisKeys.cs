using StackExchange.Redis;

namespace Chat.Backplane;

/// <summary>Every key and channel that the server uses in Redis. All of them may vanish at any time without loss.</summary>
/// <param name="prefix">Keeps several installations apart on one Redis; empty by default.</param>
public sealed class RedisKeys(string prefix)
{
    /// <summary>Channel: what happens to a user, for the nodes that hold a connection of theirs.</summary>
    public string UserChannel(Guid userId) => $"{prefix}chat:user:{userId}";

    /// <summary>Channel: what concerns people on any node, for all of them.</summary>
    public string AllNodesChannel => $"{prefix}chat:all";

    /// <summary>Channel: the nodes say that they are there.</summary>
    public string HeartbeatChannel => $"{prefix}chat:nodes";

    /// <summary>Channel: a node's messages to itself, by which it finds out whether pub/sub works.</summary>
    public string Node(Guid nodeId) => $"{prefix}chat:node:{nodeId}";

    /// <summary>String: written by a node to find out whether it may write; gone after seconds.</summary>
    public RedisKey Ready(Guid nodeId) => $"{prefix}ready:{nodeId}";

    /// <summary>Sorted set: a user's connections, each with the end of its lease in Unix milliseconds.</summary>
    public RedisKey Online(Guid userId) => $"{prefix}online:{userId}";

    /// <summary>Sorted set: the users who are online, each with the end of their latest lease.</summary>
    public RedisKey Leases => $"{prefix}leases";
}
