using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Sends REST requests at a fixed rate, independent of responses. Latency is measured from when a request was due.</summary>
internal static class HttpLoad
{
    private const int Connections = 32;

    /// <summary>Runs a warm-up, then measures.</summary>
    /// <param name="title">The title of the report.</param>
    /// <param name="target">The target; requests go to its first node.</param>
    /// <param name="rate">Requests per second.</param>
    /// <param name="next">Creates the next request.</param>
    /// <param name="options">The durations.</param>
    /// <param name="progress">Receives the progress.</param>
    public static Report Run(string title, Target target, int rate, Func<byte[]> next, Options options, Progress progress)
    {
        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var (latency, idle, queue, failed) = (new Latency(), new Stack<HttpConnection>(), new Queue<(byte[] Request, long Due)>(), 0);
        var (sent, answered, bytes, stopAt) = (0L, 0L, 0L, long.MaxValue);
        var connections = Enumerable.Range(0, Connections)
            .Select(_ => new HttpConnection(loop, target.EndPointOf(0)) { OnResponse = OnResponse }).ToArray();
        foreach (var connection in connections)
            idle.Push(connection);

        progress.SetPhase($"warming up {title}", () => $"{answered:N0} responses");
        var start = EventLoop.Now;
        Pacer.Run(loop, start, rate, due =>
        {
            if (due >= stopAt)
                return false;
            sent++;
            if (idle.TryPop(out var free))
                free.SendRequest(next(), due);
            else
                queue.Enqueue((next(), due));
            return true;
        });
        var from = start + EventLoop.ToTicks(options.Seconds("warm-up", 5));
        loop.Run(() => EventLoop.Now >= from, TimeSpan.FromDays(1));
        progress.SetPhase($"measuring {title}", () => $"{answered:N0} responses, p99 {latency.Percentile(99):0.0} ms");
        latency.Start(from);
        var (before, answeredBefore, bytesBefore) = (target.MeasureUsage(), answered, bytes);
        stopAt = from + EventLoop.ToTicks(options.Seconds("seconds", 15));
        loop.Run(() => EventLoop.Now >= stopAt, TimeSpan.FromDays(1));
        var (used, count, size, seconds) =
            (target.MeasureUsage(), answered - answeredBefore, bytes - bytesBefore, options.Seconds("seconds", 15).TotalSeconds);
        loop.Run(() => answered == sent, TimeSpan.FromSeconds(15));
        foreach (var connection in connections)
            connection.Abort();

        var report = new Report($"{title}: {target.Name}, {rate}/s");
        report.Add("answered", count / seconds, "/s").Add("bytes an answer", size / (double)count, "B");
        report.Figures.AddRange(latency.Figures("answer"));
        report.Figures.AddRange(used.Since(before, TimeSpan.FromSeconds(seconds), count));
        if (failed > 0)
            report.Faults.Add($"{failed} responses were not 200.");
        if (answered < sent)
            report.Faults.Add($"{sent - answered} requests got no response.");
        return report;

        void OnResponse(HttpConnection connection, int status, int length, long since, long now)
        {
            answered++;
            bytes += length;
            if (status != 200)
                failed++;
            latency.Record(since, now);
            if (queue.TryDequeue(out var queued))
                connection.SendRequest(queued.Request, queued.Due);
            else
                idle.Push(connection);
        }
    }
}
