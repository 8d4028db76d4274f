using System.Globalization;
using System.Net;

namespace Chat.Settings;

/// <summary>The admin port's address and access; configuration section <c>Admin</c>.</summary>
/// <param name="Address">The address to listen on; the loopback by default.</param>
/// <param name="Port">The port; 0 for none.</param>
/// <param name="IsGiven">Whether the port was configured, so that a startup without it must fail.</param>
/// <param name="Token">The token required for all but metrics and health; null if none is set.</param>
internal sealed record AdminSettings(IPAddress Address, int Port, bool IsGiven, string? Token)
{
    /// <summary>OpenTelemetry's default port of a Prometheus exporter.</summary>
    public const int DefaultPort = 9464;

    private const int MinTokenLength = 16;

    /// <summary>Whether it is reachable from this machine only.</summary>
    public bool IsLoopback => IPAddress.IsLoopback(Address);

    /// <summary>Reads the validated section. Development has no admin port by default, since many servers may run on one machine.</summary>
    public static AdminSettings Of(IConfigurationSection section, bool isDevelopment) => new(
        section["Address"] is { Length: > 0 } address ? IPAddress.Parse(address) : IPAddress.Loopback,
        section["Port"] is { Length: > 0 } port ? int.Parse(port, CultureInfo.InvariantCulture) : isDevelopment ? 0 : DefaultPort,
        section["Port"] is { Length: > 0 },
        section["Token"] is { } token && !string.IsNullOrWhiteSpace(token) ? token.Trim() : null);

    /// <summary>Returns what is wrong with the port; null if it is valid.</summary>
    public static string? ValidatePort(string port) =>
        int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= IPEndPoint.MaxPort
            ? null
            : "is not a port: a whole number to 65535, or 0 for none.";

    /// <summary>Returns what is wrong with the address; null if it is valid.</summary>
    public static string? ValidateAddress(string address) =>
        IPAddress.TryParse(address, out _) ? null : "is not an IP address, such as 127.0.0.1 or 0.0.0.0.";

    /// <summary>Returns what is wrong with the token; null if it is valid.</summary>
    public static string? ValidateToken(string token) =>
        token.Trim() is { Length: >= MinTokenLength } trimmed && trimmed.All(char.IsAscii) && !trimmed.Any(char.IsWhiteSpace)
            ? null
            : $"must have at least {MinTokenLength} ASCII characters without spaces; generate it with openssl rand -hex 32.";
}
