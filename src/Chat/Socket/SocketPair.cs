using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>A connection whose client is this process: both ends of one WebSocket, past the handshake.</summary>
internal sealed class SocketPair : IDisposable
{
    private readonly WebSocket client;
    private readonly WebSocket server;
    private readonly byte[] received = new byte[16 * 1024];

    private SocketPair(Stream client, Stream server, Admission.Place place, Limits limits, TimeProvider time)
    {
        this.client = WebSocket.CreateFromStream(client, new WebSocketCreationOptions());
        this.server = WebSocket.CreateFromStream(server, new WebSocketCreationOptions { IsServer = true });
        Connection = new Connection(this.server, new Transport(new HttpRequestLifetimeFeature()), limits, time, new LifeSign(time), place);
    }

    /// <summary>The server's end.</summary>
    public Connection Connection { get; }

    public static async Task<SocketPair> OpenAsync(Admission.Place place, Limits limits, TimeProvider time)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new System.Net.Sockets.Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndpoint);
        var server = await listener.AcceptSocketAsync();
        return new SocketPair(new NetworkStream(client, ownsSocket: true), new NetworkStream(server, ownsSocket: true), place, limits, time);
    }

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
