using System.Globalization;
using Chat.Hosting;

namespace Chat.Socket;

/// <summary>
/// The files, and with them the sockets, that this process may have open (<c>ulimit -n</c>). Without one more nothing goes on:
/// no connection is accepted, PostgreSQL cannot be asked, and .NET itself may end the process. So the last ones are kept
/// back: some to answer those who must come back later, the rest for the server. A new file gets the lowest free number,
/// so a socket's number says how many are open, whatever they are.
/// </summary>
/// <param name="allowed">How many may be open at a time.</param>
internal sealed class FileDescriptorBudget(long allowed)
{
    // Connections to PostgreSQL (26 and 4 by default) and Redis, and files.
    private const int ServerReserve = 128;
    private const int RefusalReserve = 128;

    // The program's own files alone are some two hundred.
    private const int Minimum = ServerReserve + RefusalReserve + 200;

    /// <summary>How many may be open at a time.</summary>
    public long Allowed => allowed;

    /// <summary>Refuses a start that could not even load its own files, before one of them is missing.</summary>
    /// <exception cref="StartupException">No connection would fit.</exception>
    public void ThrowIfTooFew()
    {
        if (allowed < Minimum)
            throw TooFew();
    }

    /// <summary>Why a node without room for a connection does not start.</summary>
    public StartupException TooFew() => new($"The process may have {allowed} files open, which leaves none for connections: allow more (ulimit -n).");

    /// <summary>How many connections there was room for when the server began to listen; all that may come before that.</summary>
    public long Available { get; private set; } = long.MaxValue;

    /// <summary>What the kernel says; no bound at all where it does not say it in /proc.</summary>
    public static FileDescriptorBudget ForThisProcess()
    {
        const string Limits = "/proc/self/limits";
        const string Line = "Max open files";
        // The soft limit comes first, as a number or "unlimited". .NET has raised it to the hard one by now.
        var words = File.Exists(Limits) ? File.ReadLines(Limits).FirstOrDefault(line => line.StartsWith(Line, StringComparison.Ordinal))?[Line.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) : null;
        return new(long.TryParse(words?[0], NumberStyles.None, CultureInfo.InvariantCulture, out var soft) ? soft : long.MaxValue);
    }

    /// <summary>How many connections there is room for, as seen by a socket that has just been opened.</summary>
    public long AvailableBeside(System.Net.Sockets.Socket opened) => Available = allowed - ServerReserve - RefusalReserve - Number(opened);

    /// <summary>Whether a socket is one of those for answers.</summary>
    public bool IsReservedForRefusal(System.Net.Sockets.Socket accepted) => Number(accepted) >= allowed - ServerReserve - RefusalReserve;

    /// <summary>Whether a socket is one of those for the server itself.</summary>
    public bool IsReservedForServer(System.Net.Sockets.Socket accepted) => Number(accepted) >= allowed - ServerReserve;

    private static long Number(System.Net.Sockets.Socket socket) => socket.Handle;
}
