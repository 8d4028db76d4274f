using Chat.RateLimiting;
using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Authorization;

namespace Chat.Rest;

/// <summary>
/// Limits each user's request rate and concurrent requests on this node, over all their devices. Only authenticated requests are
/// limited: handshakes have their own limits, and probes of load balancers are unlimited.
/// </summary>
internal static class RequestLimit
{
    /// <summary>Adds the middleware; must run after authentication.</summary>
    public static void UseRequestLimit(this WebApplication app)
    {
        var rates = app.Services.GetRequiredService<RequestRateLimiter>();
        var work = app.Services.GetRequiredService<WorkLimiter>();
        var metrics = app.Services.GetRequiredService<ServerMetrics>();
        app.Use((http, next) => LimitRateAsync(http, next, rates, work, metrics));
    }

    private static Task LimitRateAsync(
        HttpContext http, RequestDelegate next, RequestRateLimiter rates, WorkLimiter work, ServerMetrics metrics)
    {
        if (http.User.Identity?.IsAuthenticated != true
            || http.GetEndpoint()?.Metadata is not { } endpoint || endpoint.GetMetadata<IAuthorizeData>() is null)
            return next(http);
        if (rates.Take(http.User.UserId()) is var wait && wait == TimeSpan.Zero)
            return RunLimitedAsync(http, next, work, endpoint.GetMetadata<RequestCost>()?.Of(http) ?? 1);
        metrics.LimitHit(nameof(Limits.RequestsPerSecond));
        return ChatError.RateLimited(wait).ToProblem().ExecuteAsync(http);
    }

    // Holds the permit until the response is sent: what a slow client has not read yet occupies memory.
    private static async Task RunLimitedAsync(HttpContext http, RequestDelegate next, WorkLimiter work, int cost)
    {
        try
        {
            using var entry = await work.AcquireOrRefuseAsync(http.User.UserId(), cost, http.RequestAborted);
            await (entry.Refusal?.ToProblem().ExecuteAsync(http) ?? next(http));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected while its request waited.
        }
    }
}

/// <summary>The cost of a call, relative to a simple one; see <see cref="WorkLimiter"/>.</summary>
internal sealed record RequestCost(Func<HttpContext, int> Of)
{
    // The number of rows that cost as much as a simple call.
    private const int RowsPerPermit = 50;

    /// <summary>Returns the cost of a response with this number of rows.</summary>
    public static int OfRows(int rows) => Math.Clamp((rows + RowsPerPermit - 1) / RowsPerPermit, 1, WorkLimiter.Exclusive);
}
