using System.Net;

namespace Chat.Edge;

/// <summary>
/// In Development the server signs tokens for whoever asks, and any web page can make a browser ask: by a name of its own that
/// it points at 127.0.0.1 (DNS rebinding), for which our answers count as the page's. So there only what asks for the loopback by a name of
/// the loopback is answered, else 421 (RFC 9110, 15.5.20). <c>AllowedHosts</c>, the framework's own list, stands in for this one.
/// </summary>
internal static class LocalHosts
{
    private const string Setting = "AllowedHosts";

    /// <summary>Stands behind the boundary that gives a bare status its body.</summary>
    public static void UseLocalHosts(this WebApplication app)
    {
        if (!app.Environment.IsDevelopment() || !string.IsNullOrWhiteSpace(app.Configuration[Setting]))
            return;
        app.Use((http, next) =>
        {
            // Probes ask by any name, and learn nothing.
            if (IsLocal(http.Request.Host.Host) || http.Request.Path.StartsWithSegments("/health"))
                return next(http);
            return TypedResults.Problem($"In Development the server answers to names of this machine's loopback alone. {Setting} allows others.", statusCode: StatusCodes.Status421MisdirectedRequest).ExecuteAsync(http);
        });
    }

    /// <summary>What is wrong with the list of names; null if nothing is.</summary>
    public static string? Validate(string hosts) =>
        Array.Find(hosts.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), host => !IsName(host)) is { } wrong
            ? $"has '{wrong}', which is no host name: write chat.example or *.example, without scheme, port and path, and ';' between several."
            : null;

    private static bool IsName(string host) =>
        host == "*" || Uri.CheckHostName(host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host) != UriHostNameType.Unknown;

    /// <summary>Whether a host is this machine's loopback, whatever DNS says (RFC 6761, 6.3). HTTP/1.0 needs to name none.</summary>
    internal static bool IsLocal(string host) =>
        host.Length == 0
        || host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
}
