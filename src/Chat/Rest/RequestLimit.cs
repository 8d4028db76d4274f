using System.Globalization;
using System.Threading.RateLimiting;
using Chat.Socket;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.RateLimiting;

namespace Chat.Rest;

/// <summary>
/// How many requests one user may make to this node, over all their devices. Users alone are counted: handshakes have
/// limits of their own, and a load balancer may ask how we are as often as it likes.
/// </summary>
internal static class RequestLimit
{
    public static IServiceCollection AddRequestLimit(this IServiceCollection services)
    {
        services.AddRateLimiter(options => options.OnRejected = RefuseAsync);
        services.AddOptions<RateLimiterOptions>().Configure<Limits>((options, limits) =>
            options.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(http => PartitionOf(http, limits.RequestsPerSecond)));
        return services;
    }

    private static RateLimitPartition<string> PartitionOf(HttpContext http, int perSecond) =>
        http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null && http.User.FindFirst("sub") is { } user
            ? RateLimitPartition.GetTokenBucketLimiter(user.Value, _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = perSecond * 2,
                TokensPerPeriod = perSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            })
            : RateLimitPartition.GetNoLimiter("");

    private static async ValueTask RefuseAsync(OnRejectedContext rejected, CancellationToken aborted)
    {
        var wait = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var said) ? said : TimeSpan.FromSeconds(1);
        rejected.HttpContext.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        await ChatError.RateLimited(wait).ToProblem().ExecuteAsync(rejected.HttpContext);
    }
}
