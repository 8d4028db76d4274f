using System.Diagnostics.Metrics;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace Chat.Tests.Observing;

/// <summary>Collects the measurements of one node, separately from other nodes in the process.</summary>
internal static class Measured
{
    /// <summary>Collects one instrument's measurements from now on.</summary>
    public static MetricCollector<T> Measure<T>(this ChatApp app, string instrument)
        where T : struct => app.Services.Measure<T>(instrument);

    /// <summary>Collects an instrument of a component outside a server.</summary>
    public static MetricCollector<T> Measure<T>(this IServiceProvider services, string instrument)
        where T : struct => new(services.GetRequiredService<IMeterFactory>(), ServerMetrics.MeterName, instrument);

    /// <summary>Returns the sum of the measurements, optionally only of those with a tag.</summary>
    public static int Sum(this MetricCollector<int> collector, string? tag = null, object? value = null) =>
        collector.GetMeasurementSnapshot().Where(one => tag is null || Equals(one.Tags[tag], value)).Sum(one => one.Value);

    /// <summary>All instruments of the server's meter.</summary>
    public static IReadOnlyList<Instrument> Instruments(this ChatApp app)
    {
        var found = new List<Instrument>();
        var own = app.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == ServerMetrics.MeterName && instrument.Meter.Scope == own)
                    found.Add(instrument);
            },
        };
        listener.Start();
        return found;
    }
}
