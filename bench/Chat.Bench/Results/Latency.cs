using System.Diagnostics;
using HdrHistogram;

namespace Chat.Bench.Results;

/// <summary>Latencies within a window of time, in microseconds, to three digits.</summary>
internal sealed class Latency
{
    private const long Longest = 120_000_000;
    private readonly LongHistogram histogram = new(Longest, 3);
    private long from = long.MaxValue;
    private long to = long.MaxValue;

    /// <summary>How many were recorded.</summary>
    public long Count => histogram.TotalCount;

    /// <summary>Records from here on what began not before this moment.</summary>
    public void Start(long moment) => from = moment;

    /// <summary>Records nothing any more that begins at this moment or later.</summary>
    public void Stop(long moment) => to = moment;

    /// <summary>Records one, if it began within the window; both are timestamps of <see cref="Stopwatch"/>.</summary>
    public void Record(long began, long ended)
    {
        if (began >= from && began < to)
            histogram.RecordValue(Math.Clamp((long)Stopwatch.GetElapsedTime(began, ended).TotalMicroseconds, 1, Longest));
    }

    /// <summary>Milliseconds.</summary>
    public double Percentile(double percentile) => Count == 0 ? double.NaN : histogram.GetValueAtPercentile(percentile) / 1000.0;

    /// <summary>Milliseconds.</summary>
    public double Max => Percentile(100);

    /// <summary>The usual ones, under the name of what was measured.</summary>
    public IEnumerable<Figure> Figures(string of) =>
    [
        new($"{of} p50", Percentile(50), "ms"),
        new($"{of} p95", Percentile(95), "ms"),
        new($"{of} p99", Percentile(99), "ms"),
        new($"{of} p99.9", Percentile(99.9), "ms"),
        new($"{of} max", Max, "ms"),
    ];
}
