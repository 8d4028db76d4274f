namespace Chat.Invariants;

/// <summary>Checks I14: leaks.</summary>
public static class LeakChecks
{
    /// <summary>I14, for resources that can be counted; memory and timers need a benchmark.</summary>
    public static IEnumerable<string> NothingLeaks(History history) => history.Residues
        .Where(residue => residue is not { Connections: 0, Feeds: 0, Subscriptions: 0, Leases: 0 })
        .Select(residue => $"all clients have disconnected, but a node still holds {residue}");
}
