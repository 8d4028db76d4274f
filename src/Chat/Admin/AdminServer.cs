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
/// The operator's port: metrics, readiness and what an operator may look at and change, on an address that is never shared with
/// the public. A server of its own, with a pipeline of its own: nothing that is mapped here can be reached from there. A default port
/// that is taken (another node on this machine) costs this port and not the node; one that was asked for ends the start.
/// </summary>
internal sealed partial class AdminServer(
    IEnumerable<IAdminModule> modules, AdminGuard guard, MeterProvider metrics, Readiness readiness, DependencyStates dependencies, AdminSettings settings, ILogger<AdminServer> log)
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
        // A socket's own exception where two nodes start in the same moment: both have bound the port, and one may listen.
        catch (Exception taken) when (taken is IOException or SocketException)
        {
            if (!settings.IsGiven)
            {
                NotServing(taken.Message);
                return;
            }

            throw new StartupException($"{taken.Message} Stop what listens there, or set Admin__Port.", taken);
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
        // The same ones as the node's; the modules bring theirs along.
        builder.Services.AddSingleton(readiness).AddSingleton(dependencies);
        builder.Services.AddSingleton<IJsonTypeInfoResolver>(AdminJson.Wire).AddWireJson();

        var built = builder.Build();
        built.Use(EdgeRegistration.AddHeaders);
        built.UseHeadRequests();
        built.UseProblems();
        built.Use(guard.CheckAsync);
        // What operators do is no load, and is kept out of the metrics of requests.
        var open = built.MapGroup("").DisableHttpMetrics().WithMetadata(OpenToAll.Instance);
        open.MapPrometheusScrapingEndpoint("/metrics", metrics, configureBranchedPipeline: null, optionsName: null).WithSummary("Metrics, for Prometheus.");
        HealthSlice.Map(open);
        var guarded = built.MapGroup("").DisableHttpMetrics();
        foreach (var module in modules)
            module.Map(guarded);
        return built;
    }

    [LoggerMessage(320, LogLevel.Information, "Metrics, readiness and the operator's calls are at http://{Address}")]
    private partial void Serving(IPEndPoint address);

    [LoggerMessage(321, LogLevel.Warning, "No metrics are served: {Reason} Set Admin__Port to another port, or to 0")]
    private partial void NotServing(string reason);

    [LoggerMessage(322, LogLevel.Information, "The admin port listens at {Address}, beyond the loopback, without Admin__Token: it serves metrics and health alone")]
    private partial void WithoutToken(IPAddress address);

    // The server has a log of its own, which goes nowhere: what fails here is told in the node's.
    private sealed partial class FailureLog(ILogger log) : IExceptionHandler
    {
        public ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
        {
            if (exception is not BadHttpRequestException)
                Failed(exception, httpContext.GetEndpoint()?.DisplayName);
            return new(false);
        }

        [LoggerMessage(323, LogLevel.Error, "The admin port failed at {Endpoint}")]
        private partial void Failed(Exception failure, string? endpoint);
    }
}
