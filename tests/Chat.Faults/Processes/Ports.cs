using System.Net;
using System.Net.Sockets;

namespace Chat.Faults;

/// <summary>
/// Allocates ports on 127.0.0.1 in ascending order, below the ephemeral range: a server that was stopped must find its port free
/// when it restarts.
/// </summary>
internal sealed class Ports(int first)
{
    private int last = first - 1;

    public int Next()
    {
        while (true)
        {
            var port = Interlocked.Increment(ref last);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // In use: try the next one.
            }
        }
    }
}
