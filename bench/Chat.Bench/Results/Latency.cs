using System.Diagnostics;
using HdrHistogram;

namespace Chat.Bench.Results;

/// <summary>A histogram of the latencies within a time window, in microseconds with three significant digits.</summary>
internal sealed class Latency
{
    private const long MaxMicroseconds = 120_000_000;
    private readonly LongHistogram histogram = new(MaxMicroseconds, 3);
    private long from = long.MaxValue;
    private long to = long.MaxValue;
    private Latency? next;

    /// <summary>The number of recorded latencies.</summary>
    public long Count => histogram.TotalCount;

    /// <summary>Opens the window: records latencies that start at this timestamp or later.</summary>
    public void Start(long timestamp) => from = timestamp;

    /// <summary>Closes the window: ignores latencies that start at this timestamp or later.</summary>
    public void Stop(long timestamp) => to = timestamp;

    /// <summary>Returns a histogram of the same latencies within another window.</summary>
    public Latency AddWindow() => next = new Latency();

    /// <summary>Records a latency that started within the window; both are <see cref="Stopwatch"/> timestamps.</summary>
    public void Record(long start, long end)
    {
        if (start >= from && start < to)
            histogram.RecordValue(Math.Clamp((long)Stopwatch.GetElapsedTime(start, end).TotalMicroseconds, 1, MaxMicroseconds));
        next?.Record(start, end);
    }

    /// <summary>Returns a percentile, in milliseconds; NaN if nothing was recorded.</summary>
    public double Percentile(double percentile) => Count == 0 ? double.NaN : histogram.GetValueAtPercentile(percentile) / 1000.0;

    /// <summary>The maximum, in milliseconds.</summary>
    public double Max => Percentile(100);

    /// <summary>Returns the usual percentiles as figures, prefixed with what was measured.</summary>
    public IEnumerable<Figure> Figures(string of) =>
    [
        new($"{of} p50", Percentile(50), "ms"),
        new($"{of} p95", Percentile(95), "ms"),
        new($"{of} p99", Percentile(99), "ms"),
        new($"{of} p99.9", Percentile(99.9), "ms"),
        new($"{of} max", Max, "ms"),
    ];
}
