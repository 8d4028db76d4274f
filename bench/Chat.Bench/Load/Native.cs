using System.Net;
using System.Runtime.InteropServices;

namespace Chat.Bench.Load;

/// <summary>
/// The system calls of the load generator. It shares its cores with the measured server, so it uses one thread, one buffer
/// and no task per message, which .NET's sockets do not allow. Linux only.
/// </summary>
internal static partial class Native
{
    public const int Readable = 0x1;
    public const int Writable = 0x4;
    public const int TryAgain = 11;
    public const int InProgress = 115;
    private const int StreamNonBlockingCloseOnExec = 1 | 0x800 | 0x80000;
    private const int InterNetwork = 2;
    private const int Ip = 0;
    private const int BindAddressNoPort = 24;
    private const int Tcp = 6;
    private const int NoDelay = 1;
    private const int SocketLevel = 1;
    private const int SocketError = 4;
    private const int NoSignal = 0x4000;

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int CreateEpoll(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static unsafe partial int ControlEpoll(int epoll, int operation, int socket, int* poll);

    [LibraryImport("libc", EntryPoint = "epoll_pwait2", SetLastError = true)]
    public static unsafe partial int WaitForEpoll(int epoll, int* polls, int max, TimeSpec* timeout, nint signals);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int file);

    /// <summary>Starts a non-blocking connect.</summary>
    /// <returns>The socket, or -1.</returns>
    public static unsafe int Connect(IPEndPoint target, IPAddress? source)
    {
        var socket = OpenSocket(InterNetwork, StreamNonBlockingCloseOnExec, 0);
        if (socket < 0)
            return -1;
        var on = 1;
        _ = SetOption(socket, Tcp, NoDelay, &on, sizeof(int));
        // Otherwise bind searches for a port that is unused for any destination. With 10,000 recently used ports this takes
        // milliseconds per connection, and the load generator would become the bottleneck.
        _ = SetOption(socket, Ip, BindAddressNoPort, &on, sizeof(int));
        var from = source is null ? default : new Address(source, 0);
        var to = new Address(target.Address, target.Port);
        if ((source is null || Bind(socket, &from, sizeof(Address)) == 0)
            && (ConnectTo(socket, &to, sizeof(Address)) == 0 || Marshal.GetLastPInvokeError() == InProgress))
            return socket;
        _ = Close(socket);
        return -1;
    }

    /// <summary>Returns the result of a connect; 0 is success.</summary>
    public static unsafe int ErrorOf(int socket)
    {
        int error = 0, length = sizeof(int);
        return GetOption(socket, SocketLevel, SocketError, &error, &length) == 0 ? error : -1;
    }

    /// <summary>Sends all bytes or fails: a client's data in flight fits into the socket buffer.</summary>
    public static unsafe bool Send(int socket, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
            return SendTo(socket, start, bytes.Length, NoSignal) == bytes.Length;
    }

    public static unsafe int Receive(int socket, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
            return (int)ReceiveFrom(socket, start, buffer.Length, 0);
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static unsafe partial int SetOption(int socket, int level, int option, int* value, int length);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static unsafe partial int GetOption(int socket, int level, int option, int* value, int* length);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static unsafe partial int Bind(int socket, Address* address, int length);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static unsafe partial int ConnectTo(int socket, Address* address, int length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static unsafe partial nint SendTo(int socket, byte* bytes, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static unsafe partial nint ReceiveFrom(int socket, byte* bytes, nint length, int flags);

    [StructLayout(LayoutKind.Sequential)]
    internal struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>sockaddr_in.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 16)]
    private readonly struct Address(IPAddress address, int port)
    {
        private readonly ushort family = InterNetwork;
        private readonly ushort port = (ushort)IPAddress.HostToNetworkOrder((short)port);
        private readonly uint address = BitConverter.ToUInt32(address.GetAddressBytes());
    }
}
