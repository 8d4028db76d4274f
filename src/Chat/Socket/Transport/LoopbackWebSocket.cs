using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Chat.RateLimiting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>A WebSocket with both ends in this process, past the handshake.</summary>
internal sealed class LoopbackWebSocket : IDisposable
{
    private readonly WebSocket client;
    private readonly System.Net.Sockets.Socket accepted;
    private readonly byte[] received = new byte[16 * 1024];
    private WebSocket? server;

    private LoopbackWebSocket(System.Net.Sockets.Socket connected, System.Net.Sockets.Socket accepted)
    {
        client = WebSocket.CreateFromStream(new NetworkStream(connected, ownsSocket: true), new WebSocketCreationOptions());
        this.accepted = accepted;
    }

    public static async Task<LoopbackWebSocket> OpenAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var connected = new System.Net.Sockets.Socket(SocketType.Stream, ProtocolType.Tcp);
        await connected.ConnectAsync(listener.LocalEndpoint);
        return new LoopbackWebSocket(connected, await listener.AcceptSocketAsync());
    }

    /// <summary>Returns the server's end as an ordinary connection.</summary>
    public Connection Accept(Limits limits, ServerMetrics metrics, TimeProvider time, Admission.ConnectionSlot slot)
    {
        var (transport, activity) = (new Transport(new HttpRequestLifetimeFeature()), new ActivityTracker(time));
        server = WebSocket.CreateFromStream(transport.Attach(accepted, [], activity), new WebSocketCreationOptions { IsServer = true });
        return new Connection(server, transport, limits, metrics, time, activity, slot);
    }

    public async Task SendAsync(Frame frame) =>
        await client.SendAsync(frame.Bytes, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

    public Task ReceiveAsync() => client.ReceiveAsync(received, CancellationToken.None);

    /// <summary>Aborts the connection. A clean close would wait a second for the peer to hang up.</summary>
    public void Abort() => client.Abort();

    public void Dispose()
    {
        client.Dispose();
        server?.Dispose();
        accepted.Dispose();
    }
}
