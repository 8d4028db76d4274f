using Chat.RateLimiting;
using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Authorization;

namespace Chat.Rest;

/// <summary>
/// How many requests one user may make to this node, over all their devices, and how many of them are carried out at a time. Users
/// alone are counted: handshakes have limits of their own, and a load balancer may ask how we are as often as it likes.
/// </summary>
internal static class RequestLimit
{
    /// <summary>Stands behind authentication, which says whose request it is.</summary>
    public static void UseRequestLimit(this WebApplication app)
    {
        var rates = app.Services.GetRequiredService<RequestRateLimiter>();
        var work = app.Services.GetRequiredService<WorkLimiter>();
        var metrics = app.Services.GetRequiredService<ServerMetrics>();
        app.Use((http, next) => LimitRateAsync(http, next, rates, work, metrics));
    }

    private static Task LimitRateAsync(HttpContext http, RequestDelegate next, RequestRateLimiter rates, WorkLimiter work, ServerMetrics metrics)
    {
        if (http.User.Identity?.IsAuthenticated != true || http.GetEndpoint()?.Metadata is not { } endpoint || endpoint.GetMetadata<IAuthorizeData>() is null)
            return next(http);
        if (rates.Take(http.User.UserId()) is var wait && wait == TimeSpan.Zero)
            return RunLimitedAsync(http, next, work, endpoint.GetMetadata<RequestCost>()?.Of(http) ?? 1);
        metrics.LimitHit(nameof(Limits.RequestsPerSecond));
        return ChatError.RateLimited(wait).ToProblem().ExecuteAsync(http);
    }

    // Until the answer is out: what a client that reads slowly is still to get lies in memory.
    private static async Task RunLimitedAsync(HttpContext http, RequestDelegate next, WorkLimiter work, int cost)
    {
        try
        {
            using var entry = await work.AcquireOrRefuseAsync(http.User.UserId(), cost, http.RequestAborted);
            await (entry.Refusal?.ToProblem().ExecuteAsync(http) ?? next(http));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Whoever asked has gone, and what waited for its turn is not done.
        }
    }
}

/// <summary>What a call costs beside a plain one; see <see cref="WorkLimiter"/>.</summary>
internal sealed record RequestCost(Func<HttpContext, int> Of)
{
    // So many rows are as much work as a plain call.
    private const int RowsPerTurn = 50;

    /// <summary>The cost of an answer of so many rows.</summary>
    public static int OfRows(int rows) => Math.Clamp((rows + RowsPerTurn - 1) / RowsPerTurn, 1, WorkLimiter.Exclusive);
}
