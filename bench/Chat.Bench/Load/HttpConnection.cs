using System.Buffers.Text;
using System.Net;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>An HTTP/1.1 connection driven by the event loop, with one request at a time.</summary>
internal sealed class HttpConnection : ISocketHandler
{
    private readonly EventLoop loop;
    private readonly IPEndPoint target;
    private readonly int number;
    private byte[] partial = [];
    private byte[]? unsent;
    private int socket = -1;
    private long start;

    public HttpConnection(EventLoop loop, IPEndPoint target)
    {
        (this.loop, this.target) = (loop, target);
        number = loop.Register(this);
    }

    /// <summary>Called with each response: status, size in bytes, start and end timestamp.</summary>
    public required Action<HttpConnection, int, int, long, long> OnResponse { get; init; }

    /// <summary>Returns the bytes of a GET request.</summary>
    public static byte[] Get(Uri server, string path, string token) =>
        Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {server.Authority}\r\nAuthorization: Bearer {token}\r\n\r\n");

    /// <summary>Sends a request; latency is measured from the given timestamp.</summary>
    public void SendRequest(byte[] request, long startedAt)
    {
        start = startedAt;
        if (socket >= 0)
        {
            Send(request);
            return;
        }

        unsent = request;
        socket = Native.Connect(target, null);
        if (socket < 0)
            throw new BenchException("Could not open a socket.");
        loop.Watch(socket, number, Native.Readable | Native.Writable, isNew: true);
    }

    /// <inheritdoc/>
    public void OnReady(int events)
    {
        if (unsent is { } request)
        {
            unsent = null;
            loop.Watch(socket, number, Native.Readable, isNew: false);
            Send(request);
            return;
        }

        var buffer = loop.Buffer.AsSpan();
        partial.CopyTo(buffer);
        var received = Native.Receive(socket, buffer[partial.Length..]);
        if (received <= 0)
            throw new BenchException("The server closed the connection during a request.");
        ReadOnlySpan<byte> bytes = buffer[..(partial.Length + received)];
        if (IsComplete(bytes))
        {
            partial = [];
            _ = Utf8Parser.TryParse(bytes[9..12], out int status, out _);
            OnResponse(this, status, bytes.Length, start, EventLoop.Now);
        }
        else
        {
            partial = bytes.ToArray();
        }
    }

    public void Close()
    {
        if (socket >= 0)
            _ = Native.Close(socket);
    }

    private void Send(byte[] request)
    {
        if (!Native.Send(socket, request))
            throw new BenchException("Could not send a request.");
    }

    private static bool IsComplete(ReadOnlySpan<byte> response)
    {
        var end = response.IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return false;
        var head = response[..end];
        var length = head.IndexOf("\r\nContent-Length: "u8);
        return length < 0
            ? response.EndsWith("\r\n0\r\n\r\n"u8)
            : Utf8Parser.TryParse(head[(length + 18)..], out int size, out _) && response.Length == end + 4 + size;
    }
}
