using System.Net;
using System.Net.Sockets;

namespace Chat.Embedded;

/// <summary>
/// Picks free TCP ports on 127.0.0.1. A port may be taken before it is bound: callers must retry with another one, at most
/// <see cref="Attempts"/> times.
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
