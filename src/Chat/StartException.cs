using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Chat;

/// <summary>
/// The server cannot start, for a reason that the engineer who starts it can do something about. The message is all
/// they are shown; the process ends with exit code 1.
/// </summary>
/// <param name="message">What is wrong, and what to do.</param>
/// <param name="innerException">Where it was noticed.</param>
public sealed class StartException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>
    /// The one line for a start that failed for a reason outside the program, also where it was the framework that
    /// noticed; null for anything else, which is a fault of ours and shall show its stack trace.
    /// </summary>
    public static string? LineFor(Exception failure) => failure switch
    {
        StartException => failure.Message,
        // Kestrel's own message names the address.
        IOException { InnerException: AddressInUseException } => $"{failure.Message} Stop what listens there, or set ASPNETCORE_URLS.",
        SocketException { SocketErrorCode: SocketError.AccessDenied or SocketError.AddressNotAvailable or SocketError.AddressAlreadyInUse } =>
            $"Cannot listen on the configured address: {failure.Message}. Set ASPNETCORE_URLS.",
        // An address that cannot be read, https without a certificate.
        (InvalidOperationException or FormatException) and { Source: "Microsoft.AspNetCore.Server.Kestrel.Core" or "Microsoft.AspNetCore.Http" } =>
            $"Cannot listen: {failure.Message.ReplaceLineEndings(" ")} Set ASPNETCORE_URLS.",
        OperationCanceledException => "Stopped before the start was complete.",
        InvalidDataException => $"{failure.Message} {failure.InnerException?.Message}".Trim(),
        _ => null,
    };
}
