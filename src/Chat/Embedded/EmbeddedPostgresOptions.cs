namespace Chat.Embedded;

/// <summary>How an embedded PostgreSQL is to run.</summary>
internal sealed record EmbeddedPostgresOptions
{
    /// <summary>The folder for everything that it keeps. Made if it is not there; one process at a time may use it.</summary>
    public required string DataPath { get; init; }

    /// <summary>Connections at a time.</summary>
    public int MaxConnections { get; init; } = 100;

    /// <summary>
    /// For data nobody will miss: written without waiting for the disk, so that a crash of the machine ruins them, and
    /// removed when PostgreSQL stops, also when this process was killed.
    /// </summary>
    public bool ThrowAway { get; init; }

    /// <summary>Told, in one line, what its user should know: a download, data kept elsewhere than asked.</summary>
    public Action<string> Notice { get; init; } = static _ => { };
}
