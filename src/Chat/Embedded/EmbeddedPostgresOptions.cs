namespace Chat.Embedded;

/// <summary>The options of an embedded PostgreSQL.</summary>
internal sealed record EmbeddedPostgresOptions
{
    /// <summary>The folder for all of its data. Created if missing; one process at a time may use it.</summary>
    public required string DataPath { get; init; }

    /// <summary>The maximum number of connections.</summary>
    public int MaxConnections { get; init; } = 100;

    /// <summary>
    /// For disposable data: written without fsync, so that a crash of the machine corrupts them, and removed when PostgreSQL stops,
    /// also if this process was killed.
    /// </summary>
    public bool ThrowAway { get; init; }

    /// <summary>Receives one-line messages for the user: a download, data kept in another folder.</summary>
    public Action<string> Notice { get; init; } = static _ => { };
}
