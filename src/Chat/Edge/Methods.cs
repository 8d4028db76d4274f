using Microsoft.AspNetCore.Http.Features;

namespace Chat.Edge;

/// <summary>Handles methods that work the same on every path.</summary>
internal static class Methods
{
    /// <summary>
    /// Supports HEAD wherever GET is (RFC 9110, 9.3.2), and lists it in <c>Allow</c>: runs the GET endpoint and discards the body.
    /// Must run before routing.
    /// </summary>
    public static void UseHeadRequests(this WebApplication app) => app.Use((http, next) =>
    {
        http.Response.OnStarting(() =>
        {
            if (http.Response.Headers.Allow.ToString() is var allowed
                && allowed.Split(", ").Contains(HttpMethods.Get) && !allowed.Contains(HttpMethods.Head, StringComparison.Ordinal))
                http.Response.Headers.Allow = $"{allowed}, {HttpMethods.Head}";
            return Task.CompletedTask;
        });
        if (!HttpMethods.IsHead(http.Request.Method))
            return next(http);
        http.Request.Method = HttpMethods.Get;
        http.Response.Body = Stream.Null;
        return next(http);
    });

    /// <summary>
    /// Rejects CONNECT, which asks a proxy for a tunnel, with 405. The extended CONNECT of a WebSocket over HTTP/2 (RFC 8441)
    /// passes. Must run after the middleware that gives bare status codes a body.
    /// </summary>
    public static void RefuseConnect(this WebApplication app) => app.Use((http, next) =>
    {
        if (!HttpMethods.IsConnect(http.Request.Method) || http.Features.Get<IHttpExtendedConnectFeature>()?.IsExtendedConnect == true)
            return next(http);
        http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
        http.Response.Headers.Allow = "GET, HEAD, POST, PUT, DELETE";
        return Task.CompletedTask;
    });
}
