using System.Net;

namespace Chat.Edge;

/// <summary>
/// Protects Development against DNS rebinding: there the server issues tokens on request, and any web page can make a browser
/// ask for one through a name of its own that resolves to 127.0.0.1, so that the response counts as same-origin. So only
/// requests to a loopback name are answered, others get 421 (RFC 9110, 15.5.20). <c>AllowedHosts</c>, the framework's own
/// list, replaces this one.
/// </summary>
internal static class LocalHosts
{
    private const string Setting = "AllowedHosts";

    /// <summary>Adds the check; must run after the middleware that gives bare status codes a body.</summary>
    public static void UseLocalHosts(this WebApplication app)
    {
        if (!app.Environment.IsDevelopment() || !string.IsNullOrWhiteSpace(app.Configuration[Setting]))
            return;
        app.Use((http, next) =>
        {
            // Probes use any name, and expose nothing.
            if (IsLocal(http.Request.Host.Host) || http.Request.Path.StartsWithSegments("/health"))
                return next(http);
            return TypedResults.Problem(
                $"In Development the server answers only to loopback host names; {Setting} allows others.",
                statusCode: StatusCodes.Status421MisdirectedRequest).ExecuteAsync(http);
        });
    }

    /// <summary>Returns what is wrong with the list of names; null if it is valid.</summary>
    public static string? Validate(string hosts) =>
        Array.Find(
            hosts.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), host => !IsName(host)) is { } wrong
            ? $"contains '{wrong}', which is not a host name: write chat.example or *.example, without scheme, port and path, separated by ';'."
            : null;

    private static bool IsName(string host) =>
        host == "*" || Uri.CheckHostName(host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host) != UriHostNameType.Unknown;

    /// <summary>Whether a host is this machine's loopback, regardless of DNS (RFC 6761, 6.3). HTTP/1.0 may name none.</summary>
    internal static bool IsLocal(string host) =>
        host.Length == 0
        || host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
}
