using System.Globalization;
using System.Net;

namespace Chat.Settings;

/// <summary>Where operators and Prometheus are served, and whom it is open to; configuration section <c>Admin</c>.</summary>
/// <param name="Address">The address to listen on: the loopback, unless it is said otherwise.</param>
/// <param name="Port">The port; 0 for none.</param>
/// <param name="IsGiven">Whether the port was asked for, and a start without it is no start.</param>
/// <param name="Token">What a caller must show for all but metrics and health; null if there is none.</param>
internal sealed record AdminSettings(IPAddress Address, int Port, bool IsGiven, string? Token)
{
    /// <summary>OpenTelemetry's own choice for a Prometheus exporter.</summary>
    public const int DefaultPort = 9464;

    private const int ShortestToken = 16;

    /// <summary>Whether only this machine can reach it.</summary>
    public bool IsLoopback => IPAddress.IsLoopback(Address);

    /// <summary>Reads the section, which the start check has let pass. Development serves none by default: many servers may run there.</summary>
    public static AdminSettings Of(IConfigurationSection section, bool isDevelopment) => new(
        section["Address"] is { Length: > 0 } address ? IPAddress.Parse(address) : IPAddress.Loopback,
        section["Port"] is { Length: > 0 } port ? int.Parse(port, CultureInfo.InvariantCulture) : isDevelopment ? 0 : DefaultPort,
        section["Port"] is { Length: > 0 },
        section["Token"] is { } token && !string.IsNullOrWhiteSpace(token) ? token.Trim() : null);

    /// <summary>What is wrong with the port; null if nothing is.</summary>
    public static string? ValidatePort(string port) =>
        int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= IPEndPoint.MaxPort
            ? null
            : "is not a port: a whole number to 65535, or 0 for none.";

    /// <summary>What is wrong with the address; null if nothing is.</summary>
    public static string? ValidateAddress(string address) =>
        IPAddress.TryParse(address, out _) ? null : "is not an IP address, such as 127.0.0.1 or 0.0.0.0.";

    /// <summary>What is wrong with the token; null if nothing is.</summary>
    public static string? ValidateToken(string token) => token.Trim() is { Length: >= ShortestToken } trimmed && trimmed.All(char.IsAscii) && !trimmed.Any(char.IsWhiteSpace)
        ? null
        : $"must have at least {ShortestToken} characters, in ASCII and without spaces: make it with openssl rand -hex 32.";
}
