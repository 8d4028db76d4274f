using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Chat.Hosting;

/// <summary>
/// The server cannot start, for a reason that the engineer who starts it can do something about. The message is all
/// they are shown; the process ends with exit code 1.
/// </summary>
/// <param name="message">What is wrong, and what to do.</param>
/// <param name="innerException">Where it was noticed.</param>
public sealed class StartupException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>
    /// The one line for a start that failed for a reason outside the program, also where it was the framework that
    /// noticed. Anything else is a fault of ours and shall show where it arose, in the same line.
    /// </summary>
    public static string DescribeFailure(Exception failure) => DescribeKnownFailure(failure) ?? DescribeUnknownFailure(failure);

    private static string? DescribeKnownFailure(Exception failure) => failure switch
    {
        StartupException => failure.Message,
        // Kestrel's own message names the address.
        IOException { InnerException: AddressInUseException } => $"{failure.Message} Stop what listens there, or set ASPNETCORE_URLS.",
        SocketException { SocketErrorCode: SocketError.AccessDenied or SocketError.AddressNotAvailable or SocketError.AddressAlreadyInUse } =>
            $"Cannot listen on the configured address: {failure.Message}. Set ASPNETCORE_URLS.",
        // An address that cannot be read, https without a certificate.
        (InvalidOperationException or FormatException) and { Source: "Microsoft.AspNetCore.Server.Kestrel.Core" or "Microsoft.AspNetCore.Http" } =>
            $"Cannot listen: {failure.Message.ReplaceLineEndings(" ")} Set ASPNETCORE_URLS.",
        OperationCanceledException => "Stopped before the start was complete.",
        InvalidDataException => $"{failure.Message} {failure.InnerException?.Message}".Trim(),
        _ when IsOutOfFiles(failure) => "The process has no file descriptor left: allow it more open files (ulimit -n).",
        _ => null,
    };

    // The runtime wraps it as it likes: in a type that cannot be loaded, or one that cannot be initialized.
    private static bool IsOutOfFiles(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            if (failure is SocketException { SocketErrorCode: SocketError.TooManyOpenSockets } || failure.Message.Contains("Too many open files", StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private static string DescribeUnknownFailure(Exception failure)
    {
        var at = failure.StackTrace?.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.Contains("Chat.", StringComparison.Ordinal));
        return $"The server cannot go on, by a fault of its own: {failure.GetType().Name}: {failure.Message} {at}".ReplaceLineEndings(" ").TrimEnd();
    }
}
