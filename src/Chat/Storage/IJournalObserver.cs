namespace Chat.Storage;

/// <summary>Recovers what was lost between nodes, given what the database says has happened.</summary>
internal interface IJournalObserver
{
    /// <summary>
    /// Checks changes that were committed long enough ago to have arrived: what this node has not delivered of them is lost.
    /// Called more than once for each entry.
    /// </summary>
    Task CheckAsync(IReadOnlyList<JournalEntry> due);
}
