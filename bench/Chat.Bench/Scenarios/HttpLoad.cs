using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>So many REST requests a second, whether or not those before were answered; latency from when each was due.</summary>
internal static class HttpLoad
{
    private const int Callers = 32;

    /// <summary>Runs a warm-up and the measured time.</summary>
    /// <param name="title">What is asked.</param>
    /// <param name="target">Who is asked; the first node.</param>
    /// <param name="rate">Requests a second.</param>
    /// <param name="next">Makes the next request.</param>
    /// <param name="options">The times.</param>
    /// <param name="progress">Is told.</param>
    public static Report Run(string title, Target target, int rate, Func<byte[]> next, Options options, Progress progress)
    {
        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var (latency, idle, waiting, wrong) = (new Latency(), new Stack<HttpConnection>(), new Queue<(byte[] Request, long Due)>(), 0);
        var (asked, answered, bytes, stopAt) = (0L, 0L, 0L, long.MaxValue);
        var callers = Enumerable.Range(0, Callers).Select(_ => new HttpConnection(loop, target.EndPointOf(0)) { OnResponse = Answered }).ToArray();
        foreach (var caller in callers)
            idle.Push(caller);

        progress.SetPhase($"warming up {title}", () => $"{answered:N0} answers");
        var began = EventLoop.Now;
        Pacer.Run(loop, began, rate, due =>
        {
            if (due >= stopAt)
                return false;
            asked++;
            if (idle.TryPop(out var free))
                free.SendRequest(next(), due);
            else
                waiting.Enqueue((next(), due));
            return true;
        });
        var from = began + EventLoop.ToTicks(options.Seconds("warm-up", 5));
        loop.Run(() => EventLoop.Now >= from, TimeSpan.FromDays(1));
        progress.SetPhase($"measuring {title}", () => $"{answered:N0} answers, p99 {latency.Percentile(99):0.0} ms");
        latency.Start(from);
        var (before, answeredBefore, bytesBefore) = (target.MeasureUsage(), answered, bytes);
        stopAt = from + EventLoop.ToTicks(options.Seconds("seconds", 15));
        loop.Run(() => EventLoop.Now >= stopAt, TimeSpan.FromDays(1));
        var (used, count, size, seconds) = (target.MeasureUsage(), answered - answeredBefore, bytes - bytesBefore, options.Seconds("seconds", 15).TotalSeconds);
        loop.Run(() => answered == asked, TimeSpan.FromSeconds(15));
        foreach (var caller in callers)
            caller.Close();

        var report = new Report($"{title}: {target.Name}, {rate}/s");
        report.Add("answered", count / seconds, "/s").Add("bytes an answer", size / (double)count, "B");
        report.Figures.AddRange(latency.Figures("answer"));
        report.Figures.AddRange(used.Since(before, TimeSpan.FromSeconds(seconds), count));
        if (wrong > 0)
            report.Faults.Add($"{wrong} answers were not 200.");
        if (answered < asked)
            report.Faults.Add($"{asked - answered} requests were never answered.");
        return report;

        void Answered(HttpConnection caller, int status, int length, long since, long now)
        {
            answered++;
            bytes += length;
            if (status != 200)
                wrong++;
            latency.Record(since, now);
            if (waiting.TryDequeue(out var late))
                caller.SendRequest(late.Request, late.Due);
            else
                idle.Push(caller);
        }
    }
}
