using Chat.Socket;
using Microsoft.AspNetCore.Authorization;

namespace Chat.Rest;

/// <summary>
/// How many requests one user may make to this node, over all their devices. Users alone are counted: handshakes have
/// limits of their own, and a load balancer may ask how we are as often as it likes.
/// </summary>
internal static class RequestLimit
{
    /// <summary>Stands behind authentication, which says whose request it is.</summary>
    public static void UseRequestLimit(this WebApplication app)
    {
        var rates = app.Services.GetRequiredService<RequestRates>();
        var metrics = app.Services.GetRequiredService<ServerMetrics>();
        app.Use((http, next) => CountAsync(http, next, rates, metrics));
    }

    private static Task CountAsync(HttpContext http, RequestDelegate next, RequestRates rates, ServerMetrics metrics)
    {
        var isUsers = http.User.Identity?.IsAuthenticated == true && http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null;
        if (!isUsers || (rates.Take(http.User.UserId()) is var wait && wait == TimeSpan.Zero))
            return next(http);
        metrics.LimitHit(nameof(Limits.RequestsPerSecond));
        return ChatError.RateLimited(wait).ToProblem().ExecuteAsync(http);
    }
}
