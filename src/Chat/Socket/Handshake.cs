using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Chat.Socket;

/// <summary>The requirements of a WebSocket handshake (RFC 6455, 4.2.1; over HTTP/2 RFC 8441).</summary>
internal static class Handshake
{
    private const string WebSocket = "websocket", Version = "13";

    /// <summary>Returns the response to a request that is not a valid handshake; null if it is valid.</summary>
    public static IResult? Refusal(HttpContext http)
    {
        // HTTP/1.0 has no Upgrade; the header must be ignored (RFC 9110, 7.8).
        var isOld = HttpProtocol.IsHttp10(http.Request.Protocol);
        if (http.WebSockets.IsWebSocketRequest && !isOld)
            return null;
        var headers = http.Request.Headers;
        var isConnect = http.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true };
        var wantsUpgrade = isConnect
            || (!isOld && Has(headers, HeaderNames.Upgrade, WebSocket) && Has(headers, HeaderNames.Connection, HeaderNames.Upgrade));
        if (wantsUpgrade && headers.SecWebSocketVersion.ToString() == Version)
        {
            return TypedResults.Problem(
                isConnect ? "The protocol must be websocket." : "Sec-WebSocket-Key must be given once: 16 bytes in base64.",
                statusCode: StatusCodes.Status400BadRequest);
        }

        // RFC 6455, 4.4, and RFC 9110, 15.5.22: name the supported version. Without keep-alive, Kestrel would close.
        http.Response.Headers.SecWebSocketVersion = Version;
        if (HttpProtocol.IsHttp11(http.Request.Protocol))
            (http.Response.Headers.Upgrade, http.Response.Headers.Connection) = (WebSocket, "keep-alive, Upgrade");
        return TypedResults.Problem(
            "This endpoint requires WebSocket version 13 over HTTP/1.1 or HTTP/2.", statusCode: StatusCodes.Status426UpgradeRequired);
    }

    private static bool Has(IHeaderDictionary headers, string name, string value) =>
        headers.GetCommaSeparatedValues(name).Contains(value, StringComparer.OrdinalIgnoreCase);
}
