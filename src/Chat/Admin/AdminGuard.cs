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
/// Whom the admin port answers. Metrics and health: whoever reaches it. All else: on the loopback whoever is on this machine,
/// unless <c>Admin:Token</c> is set; beyond the loopback nobody without that token. Web pages never: a browser on the operator's machine
/// reaches the loopback, and any page can make it ask.
/// </summary>
internal sealed class AdminGuard(AdminSettings settings, AuditLog audit, TimeProvider time)
{
    private static readonly string[] OwnSites = ["none", "same-origin"];
    private readonly byte[]? token = settings.Token is { } text ? SHA256.HashData(Encoding.UTF8.GetBytes(text)) : null;
    // Whoever tries tokens by the thousand shall not fill the log.
    private readonly TokenBucket lines = new(1, time);
    private readonly Lock gate = new();

    /// <summary>Stands behind routing and in front of every call.</summary>
    public Task CheckAsync(HttpContext http, RequestDelegate next)
    {
        if (RefusalOf(http) is not var (status, reason))
            return next(http);
        Tell(http, reason);
        if (status == StatusCodes.Status401Unauthorized)
            http.Response.Headers.WWWAuthenticate = "Bearer";
        return TypedResults.Problem(reason, statusCode: status).ExecuteAsync(http);
    }

    private (int Status, string Reason)? RefusalOf(HttpContext http)
    {
        var headers = http.Request.Headers;
        // No page of ours is here, so no page has any business here. A browser in which somebody typed the address sends neither.
        if (headers.Origin.Count > 0 || (headers.TryGetValue("Sec-Fetch-Site", out var site) && !OwnSites.Contains(site.ToString())))
            return (StatusCodes.Status403Forbidden, "Web pages may not use the admin port.");
        var isKnown = token is not null && Shows(headers.Authorization.ToString(), token);
        // A name that DNS points at the loopback (rebinding) makes our answers a page's own. Who knows the token is no page; probes ask by any name.
        if (settings.IsLoopback && !isKnown && !LocalHosts.IsLocal(http.Request.Host.Host) && !http.Request.Path.StartsWithSegments("/health"))
            return (StatusCodes.Status421MisdirectedRequest, "The admin port answers to names of this machine's loopback alone.");
        if (isKnown || http.GetEndpoint()?.Metadata.GetMetadata<OpenToAll>() is not null)
            return null;
        if (token is not null)
            return (StatusCodes.Status401Unauthorized, "Show Admin__Token: Authorization: Bearer <token>.");
        return settings.IsLoopback
            ? null
            : (StatusCodes.Status403Forbidden, "Beyond the loopback only metrics and health are served, until Admin__Token is set.");
    }

    // Hashes of one length: how long the comparison takes tells nothing of the token.
    private static bool Shows(string authorization, byte[] expected) =>
        BearerToken.In(authorization) is { } shown && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(shown)), expected);

    private void Tell(HttpContext http, string reason)
    {
        lock (gate)
        {
            if (lines.Take() > TimeSpan.Zero)
                return;
        }

        // The route and not the path, which is the caller's text.
        var route = (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "an unknown address";
        audit.AdminCallRefused(http.Request.Method, route, http.OperatorAddress(), reason);
    }
}

/// <summary>Who makes one of the operator's calls, as far as that is known.</summary>
internal static class Operators
{
    /// <summary>The address it came from.</summary>
    public static IPAddress? OperatorAddress(this HttpContext http) =>
        http.Connection.RemoteIpAddress is { } address ? ClientAddress.Unmapped(address) : null;
}
