using System.Globalization;
using Chat.Hosting;

namespace Chat.Socket;

/// <summary>
/// The file descriptors that this process may have open (<c>ulimit -n</c>), sockets included. Without a free one the
/// process can neither accept connections nor reach PostgreSQL, and .NET itself may terminate it. So the last ones are
/// reserved: some for refusals, the rest for the server itself. The kernel assigns the lowest free number, so a socket's
/// number tells how many descriptors are open.
/// </summary>
/// <param name="allowed">The maximum number of open descriptors.</param>
internal sealed class FileDescriptorBudget(long allowed)
{
    // Connections to PostgreSQL (26 and 4 by default) and Redis, and files.
    private const int ServerReserve = 128;
    private const int RefusalReserve = 128;

    // The process itself opens about two hundred files.
    private const int Minimum = ServerReserve + RefusalReserve + 200;

    /// <summary>The maximum number of open descriptors.</summary>
    public long Allowed => allowed;

    /// <summary>Fails the startup early if not even the process' own files would fit.</summary>
    /// <exception cref="StartupException">The limit leaves no room for connections.</exception>
    public void ThrowIfTooFew()
    {
        if (allowed < Minimum)
            throw TooFew();
    }

    /// <summary>Returns the startup error for a limit that leaves no room for connections.</summary>
    public StartupException TooFew() =>
        new($"The limit of {allowed} open files leaves none for connections; raise it (ulimit -n).");

    /// <summary>The connections that fit, measured when the server began to listen; unlimited before.</summary>
    public long Available { get; private set; } = long.MaxValue;

    /// <summary>Reads the limit from /proc; unlimited if the platform has none.</summary>
    public static FileDescriptorBudget ForThisProcess()
    {
        const string Limits = "/proc/self/limits";
        const string Line = "Max open files";
        // The soft limit comes first, as a number or "unlimited". .NET has raised it to the hard one by now.
        var words = File.Exists(Limits) ? File.ReadLines(Limits).FirstOrDefault(line =>
            line.StartsWith(Line, StringComparison.Ordinal))?[Line.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) : null;
        return new(long.TryParse(words?[0], NumberStyles.None, CultureInfo.InvariantCulture, out var soft) ? soft : long.MaxValue);
    }

    /// <summary>Measures how many connections fit, given a socket that was just opened.</summary>
    public long AvailableBeside(System.Net.Sockets.Socket opened) => Available = allowed - ServerReserve - RefusalReserve - Number(opened);

    /// <summary>Whether a socket uses a descriptor reserved for refusals.</summary>
    public bool IsReservedForRefusal(System.Net.Sockets.Socket accepted) => Number(accepted) >= allowed - ServerReserve - RefusalReserve;

    /// <summary>Whether a socket uses a descriptor reserved for the server itself.</summary>
    public bool IsReservedForServer(System.Net.Sockets.Socket accepted) => Number(accepted) >= allowed - ServerReserve;

    private static long Number(System.Net.Sockets.Socket socket) => socket.Handle;
}
