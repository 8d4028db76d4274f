using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Fixtures;

/// <summary>Captures all telemetry of the server: logs at every level with scopes and fields, spans and measurements.</summary>
internal sealed class Eavesdropper : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> lines = new();
    private readonly ActivityListener spans;
    private readonly MeterListener meters =
        new() { InstrumentPublished = (instrument, listener) => listener.EnableMeasurementEvents(instrument) };

    public Eavesdropper()
    {
        spans = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped =
                span =>
                    Add($"trace {span.DisplayName} {span.StatusDescription} {string.Join(' ', span.TagObjects)} {string.Join(' ', span.Events.SelectMany(one => one.Tags))}"),
        };
        meters.SetMeasurementEventCallback<int>(Measured);
        meters.SetMeasurementEventCallback<long>(Measured);
        meters.SetMeasurementEventCallback<double>(Measured);
    }

    /// <summary>Settings that enable logging at every level.</summary>
    public static Dictionary<string, string?> EverythingLogged { get; } = new()
    {
        ["Logging:LogLevel:Default"] = "Trace",
        ["Logging:LogLevel:Microsoft"] = "Trace",
        ["Logging:LogLevel:Npgsql"] = "Trace",
        ["Logging:LogLevel:Marten"] = "Trace",
        ["Logging:LogLevel:StackExchange"] = "Trace",
        ["Logging:Console:LogLevel:Default"] = "None",
        ["Logging:Console:LogLevel:Microsoft"] = "None",
        ["Logging:Console:LogLevel:Npgsql"] = "None",
        ["Logging:Console:LogLevel:Marten"] = "None",
        ["Logging:Console:LogLevel:StackExchange"] = "None",
    };

    public IEnumerable<string> Lines => lines;

    public void ListenTo(ChatApp app)
    {
        app.Services.GetRequiredService<ILoggerFactory>().AddProvider(this);
        ActivitySource.AddActivityListener(spans);
        meters.Start();
    }

    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        Add($"scope {state} {Fields(state)}");
        return null;
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Add($"{logLevel} {formatter(state, exception)} {Fields(state)} {exception}");

    public void Dispose()
    {
        spans.Dispose();
        meters.Dispose();
    }

    private void Add(string line) => lines.Enqueue(line);

    private void Measured<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state) =>
        Add($"metric {instrument.Name} {string.Join(' ', tags.ToArray())}");

    private static string Fields(object? state) =>
        state is IEnumerable<KeyValuePair<string, object?>> fields ? string.Join(' ', fields) : "";
}
