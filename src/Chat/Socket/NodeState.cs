namespace Chat.Socket;

/// <summary>Whether a node takes new connections.</summary>
internal enum NodeState
{
    /// <summary>It does.</summary>
    Serving,

    /// <summary>An operator sends everybody elsewhere, until further notice.</summary>
    Draining,

    /// <summary>It is going down.</summary>
    Stopping,
}
