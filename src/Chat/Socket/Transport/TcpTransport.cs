using System.Net;
using System.Net.Sockets;
using Chat.RateLimiting;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Chat.Socket;

/// <summary>
/// Kestrel's listener, replaced: its connections can be detached from HTTP (<see cref="TcpConnection"/>), which Kestrel's
/// cannot, and it reserves file descriptors (<see cref="FileDescriptorBudget"/>).
/// </summary>
internal sealed partial class TcpTransport(
    IOptions<SocketTransportOptions> options, FileDescriptorBudget descriptors, HttpConnectionLimiter http, Limits limits,
    TimeProvider time, ILogger<TcpTransport> log)
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
        // localhost binds two addresses; log once.
        if (room < limits.MaxConnections && !isLogged)
            FewFit(log, descriptors.Allowed, room, limits.MaxConnections, limits.MaxConnections - room + descriptors.Allowed);
        isLogged = true;
    }

    [LoggerMessage(311, LogLevel.Information,
        "The limit of {Allowed} open files allows about {Room} connections, fewer than Limits:MaxConnections ({MaxConnections}); " +
        "further handshakes get a 503. Raise it to {Needed} (ulimit -n), or lower the setting")]
    private static partial void FewFit(ILogger log, long allowed, long room, int maxConnections, long needed);

    [LoggerMessage(312, LogLevel.Error,
        "Connections cannot be accepted ({Reason}); raise the limit of open files (ulimit -n), or lower Limits:MaxConnections")]
    private static partial void NoneLeft(ILogger log, string reason);

    private sealed class Listener(System.Net.Sockets.Socket socket, bool noDelay, FileDescriptorBudget descriptors,
        HttpConnectionLimiter http, TimeProvider time, ILogger log)
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
                    LogNoneLeft("the remaining file descriptors are reserved for the server");
                }
                catch (Exception failure) when (failure is ObjectDisposedException
                    or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    // The listener is unbound.
                    return null;
                }
                catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TooManyOpenSockets
                    or SocketError.NoBufferSpaceAvailable)
                {
                    // The client waits in the backlog. An immediate retry would spin.
                    LogNoneLeft(failure.Message);
                    await Task.Delay(AcceptRetryDelay, time, cancellationToken);
                }
                catch (SocketException)
                {
                    // The client disconnected before it was accepted.
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
