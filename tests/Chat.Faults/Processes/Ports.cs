using System.Net;
using System.Net.Sockets;

namespace Chat.Faults;

/// <summary>
/// Ports of 127.0.0.1, one after the other from a first one, which lies below those that the system gives to outgoing
/// connections: a server that is down must find its port free when it comes back.
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
                // Somebody else's: the next one.
            }
        }
    }
}
