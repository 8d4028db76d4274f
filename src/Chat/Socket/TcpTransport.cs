using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Chat.Socket;

/// <summary>
/// What Kestrel listens with, in place of its own: its connections can be taken out of HTTP's hands
/// (<see cref="TcpConnection"/>), which Kestrel's cannot; and it keeps some of the process' file descriptors back
/// (<see cref="Descriptors"/>).
/// </summary>
internal sealed partial class TcpTransport(
    IOptions<SocketTransportOptions> options, Descriptors descriptors, HttpConnections http, Limits limits, TimeProvider time, ILogger<TcpTransport> log)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);
    private bool isSaid;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            var socket = options.Value.CreateBoundListenSocket(endpoint);
            SayIfFewFit(socket);
            socket.Listen(options.Value.Backlog);
            return new(new Listener(socket, options.Value.NoDelay, descriptors, http, time, log));
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(failure.Message, failure);
        }
    }

    private void SayIfFewFit(System.Net.Sockets.Socket listening)
    {
        var room = descriptors.RoomBeside(listening);
        if (room <= 0)
            throw descriptors.NoRoom();
        http.KeepWithin(room);
        // localhost is two addresses.
        if (room < limits.MaxConnections && !isSaid)
            FewFit(log, descriptors.Allowed, room, limits.MaxConnections, limits.MaxConnections - room + descriptors.Allowed);
        isSaid = true;
    }

    [LoggerMessage(311, LogLevel.Information, "The process may have {Allowed} files open, enough for some {Room} connections and not for {MaxConnections} (Limits:MaxConnections): more get a 503. Allow {Needed} (ulimit -n), or lower the limit")]
    private static partial void FewFit(ILogger log, long allowed, long room, int maxConnections, long needed);

    [LoggerMessage(312, LogLevel.Error, "No connection can be accepted just now ({Reason}): more open files must be allowed (ulimit -n), or fewer connections (Limits:MaxConnections)")]
    private static partial void NoneLeft(ILogger log, string reason);

    private sealed class Listener(System.Net.Sockets.Socket socket, bool noDelay, Descriptors descriptors, HttpConnections http, TimeProvider time, ILogger log)
        : IConnectionListener
    {
        private long saidAt;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                System.Net.Sockets.Socket? accepted = null;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken);
                    if (accepted.LocalEndPoint is IPEndPoint)
                        accepted.NoDelay = noDelay;
                    if (!descriptors.AreSpent(accepted))
                        return new TcpConnection(accepted, descriptors.AreShort(accepted), http);
                    accepted.Dispose();
                    SayNoneLeft("the rest is for the server itself");
                }
                catch (Exception failure) when (failure is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    // Unbound: there are no more.
                    return null;
                }
                catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    // The client waits in the backlog. To ask again at once would only burn the processor.
                    SayNoneLeft(failure.Message);
                    await Task.Delay(Breath, time, cancellationToken);
                }
                catch (SocketException)
                {
                    // Gone again before it was accepted. The next one is not.
                    accepted?.Dispose();
                }
            }
        }

        private void SayNoneLeft(string reason)
        {
            if (saidAt != 0 && time.GetElapsedTime(saidAt) < Silence)
                return;
            saidAt = time.GetTimestamp();
            NoneLeft(log, reason);
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => DisposeAsync();

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
