using System.Net;
using System.Security.Cryptography;
using System.Text;
using Chat.Edge;
using Chat.RateLimiting;
using Chat.Settings;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Admin;

/// <summary>
/// Controls access to the admin port. Metrics and health are public. Everything else requires <c>Admin:Token</c> if it is set, and
/// without one is available on the loopback only. Web pages are always rejected: a browser on the operator's machine reaches the
/// loopback, and any page can make it send requests.
/// </summary>
internal sealed class AdminGuard(AdminSettings settings, AuditLog audit, TimeProvider time)
{
    private static readonly string[] OwnSites = ["none", "same-origin"];
    private readonly byte[]? token = settings.Token is { } text ? SHA256.HashData(Encoding.UTF8.GetBytes(text)) : null;
    // Someone who tries thousands of tokens must not fill the log.
    private readonly TokenBucket lines = new(1, time);
    private readonly Lock gate = new();

    /// <summary>Runs after routing and before every endpoint.</summary>
    public Task CheckAsync(HttpContext http, RequestDelegate next)
    {
        if (RefusalOf(http) is not var (status, reason))
            return next(http);
        Audit(http, reason);
        if (status == StatusCodes.Status401Unauthorized)
            http.Response.Headers.WWWAuthenticate = "Bearer";
        return TypedResults.Problem(reason, statusCode: status).ExecuteAsync(http);
    }

    private (int Status, string Reason)? RefusalOf(HttpContext http)
    {
        var headers = http.Request.Headers;
        // There are no pages on this port, so requests of pages are rejected. A browser sends neither header for a typed address.
        if (headers.Origin.Count > 0 || (headers.TryGetValue("Sec-Fetch-Site", out var site) && !OwnSites.Contains(site.ToString())))
            return (StatusCodes.Status403Forbidden, "Requests from web pages are not allowed on the admin port.");
        var hasToken = token is not null && Matches(headers.Authorization.ToString(), token);
        // DNS rebinding: a name that resolves to the loopback makes our responses same-origin. A token rules out a page; probes use any
        // name.
        if (settings.IsLoopback
            && !hasToken && !LocalHosts.IsLocal(http.Request.Host.Host) && !http.Request.Path.StartsWithSegments("/health"))
            return (StatusCodes.Status421MisdirectedRequest, "The admin port answers only to loopback host names.");
        if (hasToken || http.GetEndpoint()?.Metadata.GetMetadata<OpenToAll>() is not null)
            return null;
        if (token is not null)
            return (StatusCodes.Status401Unauthorized, "Admin__Token is required: Authorization: Bearer <token>.");
        return settings.IsLoopback
            ? null
            : (StatusCodes.Status403Forbidden, "Beyond the loopback only metrics and health are served unless Admin__Token is set.");
    }

    // Comparing hashes of equal length in constant time leaks nothing about the token.
    private static bool Matches(string authorization, byte[] expected) =>
        BearerToken.In(authorization) is { } shown
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(shown)), expected);

    private void Audit(HttpContext http, string reason)
    {
        lock (gate)
        {
            if (lines.Take() > TimeSpan.Zero)
                return;
        }

        // The route and not the path, which is client input.
        var route = (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "an unknown path";
        audit.AdminCallRefused(http.Request.Method, route, http.OperatorAddress(), reason);
    }
}

/// <summary>Identifies the caller of an operator's call.</summary>
internal static class Operators
{
    /// <summary>Returns the address that the call came from.</summary>
    public static IPAddress? OperatorAddress(this HttpContext http) =>
        http.Connection.RemoteIpAddress is { } address ? ClientAddress.Unmapped(address) : null;
}
