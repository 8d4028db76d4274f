using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using TcpSocket = System.Net.Sockets.Socket;

namespace Chat.Faults;

/// <summary>The client side of a socket as raw bytes, for what no WebSocket library does.</summary>
internal static class RawSocket
{
    private const int Part = 4096;

    /// <summary>Connects to a node on this machine.</summary>
    /// <param name="port">The node's port.</param>
    /// <param name="from">The client's address, any of 127.0.0.0/8.</param>
    /// <param name="receiveBuffer">The receive buffer in bytes, for a client that does not read; null for the system default.</param>
    /// <param name="cancellation">Cancels the attempt.</param>
    public static async Task<TcpSocket> ConnectAsync(
        int port, IPAddress? from = null, int? receiveBuffer = null, CancellationToken cancellation = default)
    {
        var socket = new TcpSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            if (receiveBuffer is { } size)
                socket.ReceiveBufferSize = size;
            if (from is not null)
                socket.Bind(new IPEndPoint(from, 0));
            await socket.ConnectAsync(IPAddress.Loopback, port, cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The upgrade request.</summary>
    public static byte[] Handshake(string? token) => Encoding.ASCII.GetBytes(
        $"GET /chat/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Convert.ToBase64String(RandomNumberGenerator.GetBytes(16))}\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}\r\n");

    /// <summary>A complete text frame of less than 126 bytes, masked with zeros.</summary>
    public static byte[] Text(string json) => [0x81, (byte)(0x80 | json.Length), 0, 0, 0, 0, .. Encoding.ASCII.GetBytes(json)];

    /// <summary>Reads until one of these texts has arrived.</summary>
    /// <returns>The text; null if the node closed the connection first.</returns>
    public static async Task<string?> ReadUntilAsync(
        TcpSocket socket, IReadOnlyList<string> texts, CancellationToken cancellation = default)
    {
        var buffer = new byte[Part];
        var read = "";
        while (await ReadAsync(socket, buffer, cancellation) is > 0 and var length)
        {
            read += Encoding.Latin1.GetString(buffer, 0, length);
            if (texts.FirstOrDefault(text => read.Contains(text, StringComparison.Ordinal)) is { } found)
                return found;
        }

        return null;
    }

    /// <summary>Reads what is available; empty once the node has closed the connection, in order or not.</summary>
    public static async Task<int> ReadAsync(TcpSocket socket, byte[] buffer, CancellationToken cancellation = default)
    {
        try
        {
            return await socket.ReceiveAsync(buffer.AsMemory(), cancellation);
        }
        catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
        {
            return 0;
        }
    }
}
