using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Closed loop: N sockets in pairs, each with W messages in flight. The next message is sent when one has been delivered and
/// acknowledged. Measures throughput.
/// </summary>
internal static class Pairs
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, window) = (options.Number("sockets", 500), options.Number("window", 1));
        using var pairs = await ConnectedPairs.OpenAsync(target, options, progress, sockets);
        var run = new MessagingRun(target, options, progress);
        foreach (var stream in pairs.Stats.Streams)
        {
            stream.OnCompleted = (completed, now) =>
            {
                if (now < run.StopAt)
                    completed.Send(now);
            };
        }

        return await run.RunAsync(
            $"pairs: {target.Name}, {target.Urls.Count} nodes, {sockets} sockets, W={window}",
            pairs.Loop, pairs.Fleet, pairs.Stats,
            _ =>
            {
                foreach (var stream in pairs.Stats.Streams)
                {
                    for (var i = 0; i < window; i++)
                        stream.Send(EventLoop.Now);
                }
            });
    }
}
