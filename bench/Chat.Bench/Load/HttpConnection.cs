using System.Buffers.Text;
using System.Net;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>A connection that asks a server over HTTP/1.1, one request at a time, on the loop.</summary>
internal sealed class HttpConnection : ISocketHandler
{
    private readonly EventLoop loop;
    private readonly IPEndPoint target;
    private readonly int number;
    private byte[] rest = [];
    private byte[]? first;
    private int socket = -1;
    private long began;

    public HttpConnection(EventLoop loop, IPEndPoint target)
    {
        (this.loop, this.target) = (loop, target);
        number = loop.Register(this);
    }

    /// <summary>Called with each answer's status, its size, and when its time began and ended.</summary>
    public required Action<HttpConnection, int, int, long, long> OnResponse { get; init; }

    /// <summary>Whatever a request needs, as its bytes.</summary>
    public static byte[] Get(Uri server, string path, string token) =>
        Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {server.Authority}\r\nAuthorization: Bearer {token}\r\n\r\n");

    /// <summary>Asks. The time counts from the moment given.</summary>
    public void SendRequest(byte[] request, long since)
    {
        began = since;
        if (socket >= 0)
        {
            Send(request);
            return;
        }

        first = request;
        socket = Native.Connect(target, null);
        if (socket < 0)
            throw new BenchException("There is no socket to ask with.");
        loop.Watch(socket, number, Native.Readable | Native.Writable, isNew: true);
    }

    /// <inheritdoc/>
    public void OnReady(int events)
    {
        if (first is { } request)
        {
            first = null;
            loop.Watch(socket, number, Native.Readable, isNew: false);
            Send(request);
            return;
        }

        var buffer = loop.Buffer.AsSpan();
        rest.CopyTo(buffer);
        var received = Native.Receive(socket, buffer[rest.Length..]);
        if (received <= 0)
            throw new BenchException("The server closed a connection that it was asked on.");
        ReadOnlySpan<byte> bytes = buffer[..(rest.Length + received)];
        if (IsComplete(bytes))
        {
            rest = [];
            _ = Utf8Parser.TryParse(bytes[9..12], out int status, out _);
            OnResponse(this, status, bytes.Length, began, EventLoop.Now);
        }
        else
        {
            rest = bytes.ToArray();
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
            throw new BenchException("A request could not be sent.");
    }

    private static bool IsComplete(ReadOnlySpan<byte> answer)
    {
        var end = answer.IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return false;
        var head = answer[..end];
        var length = head.IndexOf("\r\nContent-Length: "u8);
        return length < 0
            ? answer.EndsWith("\r\n0\r\n\r\n"u8)
            : Utf8Parser.TryParse(head[(length + 18)..], out int size, out _) && answer.Length == end + 4 + size;
    }
}
