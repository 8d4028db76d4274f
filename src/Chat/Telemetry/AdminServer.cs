using System.Net;
using System.Net.Sockets;
using OpenTelemetry.Metrics;

namespace Chat.Telemetry;

/// <summary>
/// Serves <c>/metrics</c>, and nothing else, on a port of its own: what engineers and Prometheus read never shares an
/// address with the public. A default port that is taken (another node on this machine) costs the metrics and not the
/// node; one that was asked for ends the start.
/// </summary>
internal sealed partial class AdminServer(MeterProvider metrics, AdminSettings settings, ILogger<AdminServer> log) : IHostedService, IAsyncDisposable
{
    private WebApplication? app;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(settings.Address, settings.Port));
        app = builder.Build();
        app.UseOpenTelemetryPrometheusScrapingEndpoint(metrics, predicate: null, path: "/metrics", configureBranchedPipeline: null, optionsName: null);
        try
        {
            await app.StartAsync(cancellationToken);
            Serving(new IPEndPoint(settings.Address, settings.Port));
        }
        // A socket's own exception where two nodes start in the same moment: both have bound the port, and one may listen.
        catch (Exception taken) when (taken is IOException or SocketException)
        {
            if (!settings.IsGiven)
            {
                NotServing(taken.Message);
                return;
            }

            throw new StartException($"{taken.Message} Stop what listens there, or set Admin__Port.", taken);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => app!.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
            await app.DisposeAsync();
    }

    [LoggerMessage(320, LogLevel.Information, "Metrics are at http://{Address}/metrics")]
    private partial void Serving(IPEndPoint address);

    [LoggerMessage(321, LogLevel.Warning, "No metrics are served: {Reason} Set Admin__Port to another port, or to 0")]
    private partial void NotServing(string reason);
}
