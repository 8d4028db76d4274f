using Chat.Settings;
using Microsoft.Extensions.Options;
using Npgsql;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Chat.Telemetry;

/// <summary>
/// Exports telemetry: to Prometheus by the admin port, and by OTLP if OpenTelemetry's environment variables name an endpoint.
/// Signals without an exporter are not collected.
/// </summary>
internal static class TelemetryRegistration
{
    private const string Service = "chat";

    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        builder.AddLogFormats();
        builder.Services.AddSingleton<AuditLog>().AddSingleton<ServerMetrics>().AddSingleton<DependencyStates>();
        var admin = AdminSettings.Of(builder.Configuration.GetSection("Admin"), builder.Environment.IsDevelopment());
        // The environment variables override our service name.
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(Service, serviceInstanceId: NodeName.Own).AddEnvironmentVariableDetector());
        if (admin.Port != 0)
        {
            telemetry.WithMetrics(metrics => Collect(metrics).AddPrometheusExporter());
            builder.Services.AddSingleton<RecentLog>().AddSingleton<ILoggerProvider>(provider => provider.GetRequiredService<RecentLog>());
            builder.Services.AddSingleton<LevelOverrides>();
            builder.Services.AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(
                provider => provider.GetRequiredService<LevelOverrides>());
            // First, so that the rules added by Defaults, for what must never be logged, still come last.
            builder.Services.Insert(0, ServiceDescriptor.Singleton<IPostConfigureOptions<LoggerFilterOptions>>(
                provider => provider.GetRequiredService<LevelOverrides>()));
        }

        if (HasEndpoint("METRICS"))
            telemetry.WithMetrics(metrics => Collect(metrics).AddOtlpExporter());
        if (HasEndpoint("TRACES"))
        {
            telemetry.WithTracing(traces => traces
                .AddSource(Tracing.Name)
                .AddNpgsql()
                // A socket's request lasts as long as the socket; its events are traced individually.
                .AddAspNetCoreInstrumentation(requests =>
                    requests.Filter = http => !http.WebSockets.IsWebSocketRequest && !http.Request.Path.StartsWithSegments("/health"))
                .AddOtlpExporter());
        }

        if (HasEndpoint("LOGS"))
            telemetry.WithLogging(logs => logs.AddOtlpExporter(), options => options.IncludeFormattedMessage = true);

        bool HasEndpoint(string signal) =>
            !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"])
                || !string.IsNullOrEmpty(builder.Configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"]);
    }

    private static MeterProviderBuilder Collect(MeterProviderBuilder metrics) => metrics
        .AddMeter(
            ServerMetrics.MeterName, "Npgsql", "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel");
}
