using System.Net;
using System.Net.Sockets;
using Chat.RateLimiting;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Chat.Socket;

/// <summary>
/// What Kestrel listens with, in place of its own: its connections can be taken out of HTTP's hands
/// (<see cref="TcpConnection"/>), which Kestrel's cannot; and it keeps some of the process' file descriptors back
/// (<see cref="FileDescriptorBudget"/>).
/// </summary>
internal sealed partial class TcpTransport(
    IOptions<SocketTransportOptions> options, FileDescriptorBudget descriptors, HttpConnectionLimiter http, Limits limits, TimeProvider time, ILogger<TcpTransport> log)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private static readonly TimeSpan AcceptRetryDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);
    private bool isLogged;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            var socket = options.Value.CreateBoundListenSocket(endpoint);
            WarnIfFewFit(socket);
            socket.Listen(options.Value.Backlog);
            return new(new Listener(socket, options.Value.NoDelay, descriptors, http, time, log));
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(failure.Message, failure);
        }
    }

    private void WarnIfFewFit(System.Net.Sockets.Socket listening)
    {
        var room = descriptors.AvailableBeside(listening);
        if (room <= 0)
            throw descriptors.TooFew();
        http.LimitTo(room);
        // localhost is two addresses.
        if (room < limits.MaxConnections && !isLogged)
            FewFit(log, descriptors.Allowed, room, limits.MaxConnections, limits.MaxConnections - room + descriptors.Allowed);
        isLogged = true;
    }

    [LoggerMessage(311, LogLevel.Information, "The process may have {Allowed} files open, enough for some {Room} connections and not for {MaxConnections} (Limits:MaxConnections): more get a 503. Allow {Needed} (ulimit -n), or lower the limit")]
    private static partial void FewFit(ILogger log, long allowed, long room, int maxConnections, long needed);

    [LoggerMessage(312, LogLevel.Error, "No connection can be accepted just now ({Reason}): more open files must be allowed (ulimit -n), or fewer connections (Limits:MaxConnections)")]
    private static partial void NoneLeft(ILogger log, string reason);

    private sealed class Listener(System.Net.Sockets.Socket socket, bool noDelay, FileDescriptorBudget descriptors, HttpConnectionLimiter http, TimeProvider time, ILogger log)
        : IConnectionListener
    {
        private long loggedAt;

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
                    if (!descriptors.IsReservedForServer(accepted))
                        return new TcpConnection(accepted, descriptors.IsReservedForRefusal(accepted), http);
                    accepted.Dispose();
                    LogNoneLeft("the rest is for the server itself");
                }
                catch (Exception failure) when (failure is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    // Unbound: there are no more.
                    return null;
                }
                catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    // The client waits in the backlog. To ask again at once would only burn the processor.
                    LogNoneLeft(failure.Message);
                    await Task.Delay(AcceptRetryDelay, time, cancellationToken);
                }
                catch (SocketException)
                {
                    // Gone again before it was accepted. The next one is not.
                    accepted?.Dispose();
                }
            }
        }

        private void LogNoneLeft(string reason)
        {
            if (loggedAt != 0 && time.GetElapsedTime(loggedAt) < LogInterval)
                return;
            loggedAt = time.GetTimestamp();
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
