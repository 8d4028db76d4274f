using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>
/// Closed loop: N sockets in pairs, both sides talk, each with W messages under way: the next is sent when one has
/// reached the other side and its answer has come. Shows how much goes through.
/// </summary>
internal static class Pairs
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        var (sockets, window) = (options.Number("sockets", 500), options.Number("window", 1));
        using var scene = await ConnectedPairs.OpenAsync(target, options, progress, sockets);
        var run = new MessagingRun(target, options, progress);
        foreach (var lane in scene.Tally.Streams)
        {
            lane.OnCompleted = (settled, now) =>
            {
                if (now < run.StopAt)
                    settled.Send(now);
            };
        }

        return await run.RunAsync(
            $"pairs: {target.Name}, {target.Urls.Count} nodes, {sockets} sockets, W={window}",
            scene.Loop, scene.Fleet, scene.Tally,
            _ =>
            {
                foreach (var lane in scene.Tally.Streams)
                {
                    for (var i = 0; i < window; i++)
                        lane.Send(EventLoop.Now);
                }
            });
    }
}

/// <summary>
/// Open loop: R messages a second over N sockets, evenly, whether or not the ones before have come. Latency counts
/// from the moment at which a message was to be sent, so that a server that holds things up cannot hide it.
/// </summary>
internal static class Paced
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        using var scene = await ConnectedPairs.OpenAsync(target, options, progress, options.Number("sockets", 500));
        return await RunAsync(scene, target, options, progress);
    }

    public static async Task<Report> RunAsync(ConnectedPairs scene, Target target, Options options, Progress progress)
    {
        var rate = options.Number("rate", 1000);
        var run = new MessagingRun(target, options, progress);
        var (lanes, next) = (scene.Tally.Streams, 0);
        return await run.RunAsync(
            $"paced: {target.Name}, {target.Urls.Count} nodes, {scene.Fleet.Clients.Length} sockets, {rate}/s",
            scene.Loop, scene.Fleet, scene.Tally,
            began => Pacer.Run(scene.Loop, began, rate, due =>
            {
                if (due >= run.StopAt)
                    return false;
                lanes[next++ % lanes.Count].Send(due);
                return true;
            }));
    }
}

/// <summary>People in pairs, connected, with a lane from each to the partner.</summary>
internal sealed class ConnectedPairs(EventLoop loop, Fleet fleet, DeliveryStats tally) : IDisposable
{
    private const int ContentBytes = 100;

    public EventLoop Loop => loop;

    public Fleet Fleet => fleet;

    public DeliveryStats Tally => tally;

    public static async Task<ConnectedPairs> OpenAsync(Target target, Options options, Progress progress, int sockets) =>
        Open(target, options, progress, await Population.CreateAsync(target, sockets, progress));

    public static ConnectedPairs Open(Target target, Options options, Progress progress, Population population)
    {
        var (loop, tally) = (new EventLoop(), new DeliveryStats());
        progress.PrintPeriodically(loop);
        // On several nodes, partners sit on different ones.
        var fleet = new Fleet(loop, target, population.UpgradeRequests(target), tally);
        tally.Streams = [.. fleet.Clients.Select(client => new MessageStream(
            tally, client, [fleet.Clients[client.Index ^ 1]],
            new Wire.SendFrame(population.Run, client.Index, population.Conversations[client.Index / 2], options.Number("bytes", ContentBytes))))];
        fleet.ConnectAll(progress);
        return new ConnectedPairs(loop, fleet, tally);
    }

    public void Dispose()
    {
        fleet.Dispose();
        loop.Dispose();
    }
}

/// <summary>Something that is to happen so many times a second.</summary>
internal static class Pacer
{
    /// <summary>Calls with each due moment, also with those that were missed, until it returns false.</summary>
    public static void Run(EventLoop loop, long began, int perSecond, Func<long, bool> call)
    {
        var done = 0L;
        var step = EventLoop.ToTicks(TimeSpan.FromSeconds(1)) / (double)perSecond;
        loop.Schedule(began, Next);

        void Next(long now)
        {
            long due;
            while ((due = began + (long)(done * step)) <= now)
            {
                if (!call(due))
                    return;
                done++;
            }

            loop.Schedule(due, Next);
        }
    }
}
