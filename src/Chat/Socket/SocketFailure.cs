using System.Net.WebSockets;

namespace Chat.Socket;

/// <summary>Classifies the exceptions by which .NET's sockets report a disconnect: control flow, never logged as errors.</summary>
internal static class SocketFailure
{
    public static bool IsDisconnect(Exception failure) => failure is
        WebSocketException or IOException or OperationCanceledException or ObjectDisposedException
        // SendAsync and CloseOutputAsync on a socket that was aborted meanwhile.
        or InvalidOperationException { Source: "System.Net.WebSockets" or "Microsoft.AspNetCore.TestHost" };
}
