using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Pairs of connected users, with a message stream from each to its partner.</summary>
internal sealed class ConnectedPairs(EventLoop loop, Fleet fleet, DeliveryStats stats, bool ownsLoop) : IDisposable
{
    private const int ContentBytes = 100;

    public EventLoop Loop => loop;

    public Fleet Fleet => fleet;

    public DeliveryStats Stats => stats;

    public static async Task<ConnectedPairs> OpenAsync(Target target, Options options, Progress progress, int sockets) =>
        Open(target, options, progress, await Population.CreateAsync(target, sockets, progress));

    public static ConnectedPairs Open(Target target, Options options, Progress progress, Population population)
    {
        var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        return Open(target, options, progress, population, loop, ownsLoop: true);
    }

    /// <summary>Connects them on a loop that other clients may share.</summary>
    public static ConnectedPairs Open(
        Target target, Options options, Progress progress, Population population, EventLoop loop, bool ownsLoop = false)
    {
        var stats = new DeliveryStats();
        // With several nodes, partners connect to different ones.
        var fleet = new Fleet(loop, target, population.UpgradeRequests(target), stats);
        stats.Streams = [.. fleet.Clients.Select(client => new MessageStream(
            stats, client, [fleet.Clients[client.Index ^ 1]],
            new Wire.SendFrame(
                population.Run, client.Index, population.Conversations[client.Index / 2], options.Number("bytes", ContentBytes))))];
        fleet.ConnectAll(progress);
        return new ConnectedPairs(loop, fleet, stats, ownsLoop);
    }

    public void Dispose()
    {
        fleet.Dispose();
        if (ownsLoop)
            loop.Dispose();
    }
}
