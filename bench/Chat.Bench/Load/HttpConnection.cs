using System.Buffers.Text;
using System.Net;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>An HTTP/1.1 connection driven by the event loop, with one request at a time.</summary>
internal sealed class HttpConnection(EventLoop loop, IPEndPoint target) : LoopSocket(loop)
{
    private long start;

    /// <summary>Called with each response: status, size in bytes, start and end timestamp.</summary>
    public required Action<HttpConnection, int, int, long, long> OnResponse { get; init; }

    /// <summary>Returns the bytes of a GET request.</summary>
    public static byte[] Get(Uri server, string path, string token) =>
        Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {server.Authority}\r\nAuthorization: Bearer {token}\r\n\r\n");

    /// <summary>Sends a request; latency is measured from the given timestamp.</summary>
    public void SendRequest(byte[] request, long startedAt)
    {
        start = startedAt;
        if (HasSocket)
            Send(request);
        else
            Open(target, null, request);
    }

    /// <inheritdoc/>
    protected override void Read(ref ReadOnlySpan<byte> bytes)
    {
        if (!IsComplete(bytes))
            return;
        _ = Utf8Parser.TryParse(bytes[9..12], out int status, out _);
        var size = bytes.Length;
        bytes = [];
        OnResponse(this, status, size, start, EventLoop.Now);
    }

    /// <inheritdoc/>
    protected override void OnFailed(string reason) => throw new BenchException($"The HTTP connection failed: {reason}.");

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
