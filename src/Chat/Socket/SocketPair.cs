using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>Both ends of one WebSocket inside this process, past the handshake.</summary>
internal sealed class SocketPair : IDisposable
{
    private readonly WebSocket client;
    private readonly WebSocket server;
    private readonly byte[] received = new byte[16 * 1024];

    private SocketPair(Stream client, Stream server)
    {
        this.client = WebSocket.CreateFromStream(client, new WebSocketCreationOptions());
        this.server = WebSocket.CreateFromStream(server, new WebSocketCreationOptions { IsServer = true });
    }

    public static async Task<SocketPair> OpenAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new System.Net.Sockets.Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndpoint);
        return new SocketPair(new NetworkStream(client, ownsSocket: true), new NetworkStream(await listener.AcceptSocketAsync(), ownsSocket: true));
    }

    /// <summary>The server's end as a connection like any other.</summary>
    public Connection Accept(Limits limits, ServerMetrics metrics, TimeProvider time, Admission.Place place) =>
        new(server, new Transport(new HttpRequestLifetimeFeature()), limits, metrics, time, new LifeSign(time), place);

    public async Task SendAsync(Frame frame) => await client.SendAsync(frame.Bytes, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

    public Task ReceiveAsync() => client.ReceiveAsync(received, CancellationToken.None);

    /// <summary>Breaks the connection. A close by the book would wait a second for the other end to hang up.</summary>
    public void Cut() => client.Abort();

    public void Dispose()
    {
        client.Dispose();
        server.Dispose();
    }
}
