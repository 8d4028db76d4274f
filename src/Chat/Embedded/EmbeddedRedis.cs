using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Chat.Hosting;
using Garnet;
using Garnet.server;
using Garnet.server.Auth.Settings;

namespace Chat.Embedded;

/// <summary>
/// A Redis in this process (Microsoft Garnet), on a new port of 127.0.0.1 at each start. Its data are in memory only: nothing that
/// the server keeps in Redis must survive. A new password each time keeps out others who reach the port: other accounts, and
/// web pages, whose requests it would read as commands.
/// </summary>
internal sealed class EmbeddedRedis : IDisposable
{
    private readonly GarnetServer server;

    private EmbeddedRedis(GarnetServer server, int port, string password)
    {
        this.server = server;
        ConnectionString = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port},password={password}");
    }

    public string ConnectionString { get; }

    /// <exception cref="StartupException">No port was available.</exception>
    public static EmbeddedRedis Start()
    {
        for (var attempt = 1; ; attempt++)
        {
            var port = LoopbackPort.Pick();
            var password = Secrets.New();
            GarnetServer? server = null;
            try
            {
                server = new GarnetServer(new GarnetServerOptions
                {
                    EndPoints = [new IPEndPoint(IPAddress.Loopback, port)],
                    // Garnet's defaults reserve 16 GB of address space; this is enough for a developer's machine.
                    LogMemorySize = "64m",
                    IndexMemorySize = "8m",
                    QuietMode = true,
                    AuthSettings = new PasswordAuthenticationSettings(password),
                });
                server.Start();
                return new EmbeddedRedis(server, port, password);
            }
            catch (SocketException taken)
            {
                server?.Dispose();
                if (attempt == LoopbackPort.Attempts)
                    throw new StartupException($"The embedded Redis found no free port on 127.0.0.1: {taken.Message}", taken);
            }
        }
    }

    public void Dispose() => server.Dispose();
}
