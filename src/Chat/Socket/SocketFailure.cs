using System.Net.WebSockets;

namespace Chat.Socket;

/// <summary>
/// The ways in which the .NET socket stack says that a connection is over: control flow to us, never an error to log.
/// </summary>
internal static class SocketFailure
{
    public static bool IsDisconnect(Exception failure) => failure is
        WebSocketException or IOException or OperationCanceledException or ObjectDisposedException
        // SendAsync and CloseOutputAsync on a socket that was aborted in between.
        or InvalidOperationException { Source: "System.Net.WebSockets" or "Microsoft.AspNetCore.TestHost" };
}
