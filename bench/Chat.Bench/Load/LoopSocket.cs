using System.Net;
using System.Runtime.InteropServices;

namespace Chat.Bench.Load;

/// <summary>
/// A TCP connection driven by the event loop. It sends its first request once connected, and keeps the bytes that its protocol
/// cannot read yet.
/// </summary>
internal abstract class LoopSocket : ISocketHandler
{
    private readonly EventLoop loop;
    private readonly int number;
    private byte[]? firstRequest;
    private byte[] partial = [];
    private int socket = -1;

    protected LoopSocket(EventLoop loop)
    {
        this.loop = loop;
        number = loop.Register(this);
    }

    /// <summary>Whether there is a socket, be it still connecting.</summary>
    protected bool HasSocket => socket >= 0;

    /// <summary>Sends all bytes; a failure is reported.</summary>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        if (!Native.Send(socket, bytes))
            OnFailed($"send failed (error {Marshal.GetLastPInvokeError()})");
    }

    /// <summary>Closes the socket like a device that lost its network. Not reported.</summary>
    public virtual void Abort()
    {
        if (socket < 0)
            return;
        loop.Unwatch(socket);
        _ = Native.Close(socket);
        socket = -1;
    }

    /// <inheritdoc/>
    public void OnReady(int events)
    {
        if (socket < 0)
            return;
        if (firstRequest is { } request)
        {
            FinishConnecting(request);
            return;
        }

        var buffer = loop.Buffer.AsSpan();
        partial.CopyTo(buffer);
        var received = Native.Receive(socket, buffer[partial.Length..]);
        if (received > 0)
        {
            ReadOnlySpan<byte> bytes = buffer[..(partial.Length + received)];
            partial = [];
            Read(ref bytes);
            partial = bytes.IsEmpty || socket < 0 ? [] : bytes.ToArray();
        }
        else if (received == 0)
        {
            OnFailed("the server closed the TCP connection");
        }
        else if (Marshal.GetLastPInvokeError() is not Native.TryAgain and var error)
        {
            OnFailed($"receive failed (error {error})");
        }
    }

    /// <summary>Starts to connect; a failure is reported.</summary>
    protected void Open(IPEndPoint target, IPAddress? source, byte[] request)
    {
        (firstRequest, partial) = (request, []);
        socket = Native.Connect(target, source);
        if (socket < 0)
            OnFailed($"no socket (error {Marshal.GetLastPInvokeError()})");
        else
            loop.Watch(socket, number, Native.Readable | Native.Writable, isNew: true);
    }

    /// <summary>Reads what has been received, and leaves in the span what is not complete yet.</summary>
    protected abstract void Read(ref ReadOnlySpan<byte> bytes);

    /// <summary>Connecting or sending failed, or the connection was lost.</summary>
    protected abstract void OnFailed(string reason);

    private void FinishConnecting(byte[] request)
    {
        if (Native.ErrorOf(socket) is not 0 and var error)
        {
            OnFailed($"connect failed (error {error})");
            return;
        }

        firstRequest = null;
        loop.Watch(socket, number, Native.Readable, isNew: false);
        Send(request);
    }
}
