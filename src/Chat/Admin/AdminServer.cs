using System.Net;
using System.Net.Sockets;
using System.Text.Json.Serialization.Metadata;
using Chat.Edge;
using Chat.Features;
using Chat.Hosting;
using Chat.Json;
using Chat.Rest;
using Chat.Settings;
using Chat.Telemetry;
using Microsoft.AspNetCore.Diagnostics;
using OpenTelemetry.Metrics;

namespace Chat.Admin;

/// <summary>
/// The admin port: metrics, readiness and the operator's calls, on an address that is never shared with the public. A server of its
/// own, with its own pipeline: nothing mapped here is reachable from the public port. If the default port is taken (by another
/// node on this machine), the node starts without it; a configured one that is taken fails the startup.
/// </summary>
internal sealed partial class AdminServer(
    IEnumerable<IAdminModule> modules, AdminGuard guard, MeterProvider metrics, Readiness readiness, DependencyStates dependencies,
    AdminSettings settings, ILogger<AdminServer> log)
    : IHostedService, IAsyncDisposable
{
    private WebApplication? app;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        app = Build();
        try
        {
            await app.StartAsync(cancellationToken);
            Serving(new IPEndPoint(settings.Address, settings.Port));
            if (!settings.IsLoopback && settings.Token is null)
                WithoutToken(settings.Address);
        }
        // A bare SocketException if two nodes start at the same moment: both have bound the port, and one may listen.
        catch (Exception taken) when (taken is IOException or SocketException)
        {
            if (!settings.IsGiven)
            {
                NotServing(taken.Message);
                return;
            }

            throw new StartupException($"{taken.Message} Stop the process that uses it, or set Admin__Port.", taken);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => app!.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
            await app.DisposeAsync();
    }

    private WebApplication Build()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(settings.Address, settings.Port);
        });
        builder.Services.AddRouting().AddProblems().AddSingleton<IExceptionHandler>(new FailureLog(log));
        // The node's own instances; the modules bring theirs.
        builder.Services.AddSingleton(readiness).AddSingleton(dependencies);
        builder.Services.AddSingleton<IJsonTypeInfoResolver>(AdminJson.Wire).AddWireJson();

        var built = builder.Build();
        built.Use(EdgeRegistration.AddHeaders);
        built.UseHeadRequests();
        built.UseProblems();
        built.Use(guard.CheckAsync);
        // Operators' calls are no load, and are kept out of the request metrics.
        var open = built.MapGroup("").DisableHttpMetrics().WithMetadata(OpenToAll.Instance);
        open.MapPrometheusScrapingEndpoint("/metrics", metrics, configureBranchedPipeline: null, optionsName: null)
            .WithSummary("Metrics, for Prometheus.");
        new HealthModule().AddRoutes(open);
        var guarded = built.MapGroup("").DisableHttpMetrics();
        foreach (var module in modules)
            module.Map(guarded);
        return built;
    }

    [LoggerMessage(320, LogLevel.Information, "The admin port listens at http://{Address}")]
    private partial void Serving(IPEndPoint address);

    [LoggerMessage(321, LogLevel.Warning,
        "The admin port is unavailable, and no metrics are served: {Reason} Set Admin__Port to another port, or to 0")]
    private partial void NotServing(string reason);

    [LoggerMessage(322, LogLevel.Information,
        "The admin port listens beyond the loopback ({Address}) without Admin__Token; it serves only metrics and health")]
    private partial void WithoutToken(IPAddress address);

    // This server's own log is discarded: failures are logged by the node's.
    private sealed partial class FailureLog(ILogger log) : IExceptionHandler
    {
        public ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
        {
            if (exception is not BadHttpRequestException)
                Failed(exception, httpContext.GetEndpoint()?.DisplayName);
            return new(false);
        }

        [LoggerMessage(323, LogLevel.Error, "A call of the admin port failed at {Endpoint}")]
        private partial void Failed(Exception failure, string? endpoint);
    }
}
