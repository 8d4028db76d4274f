using System.Net;
using System.Net.Sockets;

namespace Chat.Tests.Fixtures;

/// <summary>
/// Ports on 127.0.0.1 for servers that a test starts. Below the ephemeral range: an ephemeral port could be taken before the
/// server starts, or while a test has it stopped, even by a connection that only tries to reach it.
/// </summary>
internal static class TestPort
{
    private const int Lowest = 20_000, End = 32_000;

    public static int Pick()
    {
        while (true)
        {
            var port = Random.Shared.Next(Lowest, End);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // In use.
            }
        }
    }
}
