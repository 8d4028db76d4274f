using Chat.Socket;
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
        var rates = app.Services.GetRequiredService<RequestRates>();
        var work = app.Services.GetRequiredService<WorkTurns>();
        var metrics = app.Services.GetRequiredService<ServerMetrics>();
        app.Use((http, next) => CountAsync(http, next, rates, work, metrics));
    }

    private static Task CountAsync(HttpContext http, RequestDelegate next, RequestRates rates, WorkTurns work, ServerMetrics metrics)
    {
        if (http.User.Identity?.IsAuthenticated != true || http.GetEndpoint()?.Metadata is not { } endpoint || endpoint.GetMetadata<IAuthorizeData>() is null)
            return next(http);
        if (rates.Take(http.User.UserId()) is var wait && wait == TimeSpan.Zero)
            return TakeTurnAsync(http, next, work, endpoint.GetMetadata<CallCost>()?.Of(http) ?? 1);
        metrics.LimitHit(nameof(Limits.RequestsPerSecond));
        return ChatError.RateLimited(wait).ToProblem().ExecuteAsync(http);
    }

    // Until the answer is out: what a client that reads slowly is still to get lies in memory.
    private static async Task TakeTurnAsync(HttpContext http, RequestDelegate next, WorkTurns work, int cost)
    {
        try
        {
            using var entry = await work.EnterAsync(http.User.UserId(), cost, http.RequestAborted);
            await (entry.Refusal?.ToProblem().ExecuteAsync(http) ?? next(http));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Whoever asked has gone, and what waited for its turn is not done.
        }
    }
}

/// <summary>What a call costs beside a plain one; see <see cref="WorkTurns"/>.</summary>
internal sealed record CallCost(Func<HttpContext, int> Of)
{
    // So many rows are as much work as a plain call.
    private const int RowsPerTurn = 50;

    /// <summary>The cost of an answer of so many rows.</summary>
    public static int OfRows(int rows) => Math.Clamp((rows + RowsPerTurn - 1) / RowsPerTurn, 1, WorkTurns.All);
}
