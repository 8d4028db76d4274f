using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>One user with many devices, to whom some others write, each with W messages under way: pushes a second.</summary>
internal static class Fanout
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        if (target.IsFloor)
            throw new BenchException("The floor knows pairs alone.");
        var (devices, senders, window) = (options.Number("devices", 100), options.Number("senders", 10), options.Number("window", 1));
        var writers = await Population.CreateAsync(target, senders, progress, areStrangers: true);
        var popular = (await Population.CreateAsync(target, 1, progress, areStrangers: true)).Users[0];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        var conversations = new List<Guid>();
        foreach (var writer in writers.Users)
            conversations.Add(await Population.OpenConversationAsync(http, writer, popular.Id));

        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var tally = new DeliveryStats();
        TestUser[] people = [.. Enumerable.Repeat(popular, devices), .. writers.Users];
        using var fleet = new Fleet(loop, target, [.. people.Select((person, i) => Wire.Upgrade(target.Urls[i % target.Urls.Count], "", person.Token))], tally);
        tally.Streams = [.. writers.Users.Select((_, i) => new MessageStream(
            tally, fleet.Clients[devices + i], fleet.Clients[..devices],
            new Wire.SendFrame(writers.Run, i, conversations[i], options.Number("bytes", 100))))];
        fleet.ConnectAll(progress);

        var run = new MessagingRun(target, options, progress);
        foreach (var lane in tally.Streams)
        {
            lane.OnCompleted = (settled, now) =>
            {
                if (now < run.StopAt)
                    settled.Send(now);
            };
        }

        return await run.RunAsync(
            $"fanout: {target.Name}, one user with {devices} devices, {senders} senders, W={window}",
            loop, fleet, tally,
            _ =>
            {
                foreach (var lane in tally.Streams)
                {
                    for (var i = 0; i < window; i++)
                        lane.Send(EventLoop.Now);
                }
            },
            devices);
    }
}
