using Chat.Hosting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Diagnostics;

namespace Chat.Rest;

/// <summary>Counts, as the socket does, a request that found PostgreSQL unavailable.</summary>
internal sealed class DatabaseUnavailableHandler(DependencyStates dependencies) : IExceptionHandler
{
    public ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (DatabaseFailure.IsUnavailable(exception))
            dependencies.Postgres.Failed(exception, refusedOthers: 1);
        return new(false);
    }
}
