using System.Net;
using System.Net.Sockets;

namespace Chat.Embedded;

/// <summary>
/// Picks TCP ports on 127.0.0.1. A port is free when it is picked and may be taken a moment later: whoever binds it
/// must be ready to come back for another one, at most <see cref="Attempts"/> times.
/// </summary>
internal static class LoopbackPort
{
    public const int Attempts = 5;

    public static int Pick()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
