using Chat.Hosting;
using Chat.Telemetry;
using Microsoft.AspNetCore.Diagnostics;

namespace Chat.Rest;

/// <summary>Records requests that failed because PostgreSQL is unavailable, as the socket does.</summary>
internal sealed class DatabaseUnavailableHandler(DependencyStates dependencies) : IExceptionHandler
{
    public ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (DatabaseFailure.IsUnavailable(exception))
            dependencies.Postgres.Failed(exception, refusedOthers: 1);
        return new(false);
    }
}
