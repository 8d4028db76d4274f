using Microsoft.AspNetCore.Http.Features;

namespace Chat.Edge;

/// <summary>Methods that are the same for every address.</summary>
internal static class Methods
{
    /// <summary>
    /// HEAD wherever there is GET (RFC 9110, 9.3.2), and told of where the methods are listed: what answers GET is run, and what it
    /// writes is dropped. Stands before routing.
    /// </summary>
    public static void UseHeadRequests(this WebApplication app) => app.Use((http, next) =>
    {
        http.Response.OnStarting(() =>
        {
            if (http.Response.Headers.Allow.ToString() is var allowed && allowed.Split(", ").Contains(HttpMethods.Get) && !allowed.Contains(HttpMethods.Head, StringComparison.Ordinal))
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
    /// CONNECT asks a proxy for a tunnel, and this is none: 405. The one that opens a WebSocket over HTTP/2 (RFC 8441) is another
    /// one. Stands behind the boundary that gives a bare status its body.
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
