using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Chat.Hosting;

/// <summary>
/// The server cannot start, for a reason that the operator can fix. Only the message is printed; the process ends with exit
/// code 1.
/// </summary>
/// <param name="message">What is wrong, and how to fix it.</param>
/// <param name="innerException">The cause.</param>
public sealed class StartupException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>
    /// Describes a failed startup in one line, also if the framework detected the cause. An unknown cause is a bug: the line
    /// includes where it was thrown.
    /// </summary>
    public static string DescribeFailure(Exception failure) => DescribeKnownFailure(failure) ?? DescribeUnknownFailure(failure);

    private static string? DescribeKnownFailure(Exception failure) => failure switch
    {
        StartupException => failure.Message,
        // Kestrel's own message names the address.
        IOException { InnerException: AddressInUseException } =>
            $"{failure.Message} Stop the process that uses it, or set ASPNETCORE_URLS.",
        SocketException
        {
            SocketErrorCode: SocketError.AccessDenied or SocketError.AddressNotAvailable
            or SocketError.AddressAlreadyInUse
        } =>
            $"Cannot listen on the configured address: {failure.Message}. Set ASPNETCORE_URLS.",
        // A malformed address, or https without a certificate.
        (InvalidOperationException or FormatException)
            and { Source: "Microsoft.AspNetCore.Server.Kestrel.Core" or "Microsoft.AspNetCore.Http" } =>
            $"Cannot listen: {failure.Message.ReplaceLineEndings(" ")} Set ASPNETCORE_URLS.",
        OperationCanceledException => "Stopped during startup.",
        InvalidDataException => $"{failure.Message} {failure.InnerException?.Message}".Trim(),
        _ when IsOutOfFiles(failure) => "The process has no file descriptors left; raise the limit of open files (ulimit -n).",
        _ => null,
    };

    // The runtime wraps it in various ways: as a type that cannot be loaded or initialized.
    private static bool IsOutOfFiles(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            if (failure is SocketException { SocketErrorCode: SocketError.TooManyOpenSockets }
                || failure.Message.Contains("Too many open files", StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private static string DescribeUnknownFailure(Exception failure)
    {
        var at = failure.StackTrace?.Split('\n').Select(line => line.Trim())
            .FirstOrDefault(line => line.Contains("Chat.", StringComparison.Ordinal));
        return $"The server failed with an internal error: {failure.GetType().Name}: {failure.Message} {at}".ReplaceLineEndings(" ")
            .TrimEnd();
    }
}
