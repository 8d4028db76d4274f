namespace Chat.Socket;

/// <summary>Whether a node accepts connections.</summary>
internal enum NodeState
{
    /// <summary>Accepts connections.</summary>
    Serving,

    /// <summary>Drained by an operator, until put back into service.</summary>
    Draining,

    /// <summary>Shutting down.</summary>
    Stopping,
}
