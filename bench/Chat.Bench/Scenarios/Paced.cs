namespace Chat.Bench.Scenarios;

/// <summary>
/// Open loop: R messages per second, spread evenly over N sockets, independent of earlier ones. Latency is measured from when
/// a message was due, which avoids coordinated omission.
/// </summary>
internal static class Paced
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        using var pairs = await ConnectedPairs.OpenAsync(target, options, progress, options.Number("sockets", 500));
        return await RunAsync(pairs, target, options, progress);
    }

    public static async Task<Report> RunAsync(ConnectedPairs pairs, Target target, Options options, Progress progress)
    {
        var rate = options.Number("rate", 1000);
        var run = new MessagingRun(target, options, progress);
        var (streams, next) = (pairs.Stats.Streams, 0);
        return await run.RunAsync(
            $"paced: {target.Name}, {target.Urls.Count} nodes, {pairs.Fleet.Clients.Length} sockets, {rate}/s",
            pairs.Loop, pairs.Fleet, pairs.Stats,
            start => Pacer.Run(pairs.Loop, start, rate, due =>
            {
                if (due >= run.StopAt)
                    return false;
                streams[next++ % streams.Count].Send(due);
                return true;
            }));
    }
}
