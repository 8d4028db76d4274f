using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Several senders write to one user with many devices, each with W messages in flight. Measures pushes per second.</summary>
internal static class Fanout
{
    public static async Task<Report> RunAsync(Target target, Options options, Progress progress)
    {
        if (target.IsFloor)
            throw new BenchException("The floor server supports pairs only.");
        var (devices, senders, window) = (options.Number("devices", 100), options.Number("senders", 10), options.Number("window", 1));
        var senderUsers = await Population.CreateAsync(target, senders, progress, areStrangers: true);
        var recipient = (await Population.CreateAsync(target, 1, progress, areStrangers: true)).Users[0];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        var conversations = new List<Guid>();
        foreach (var sender in senderUsers.Users)
            conversations.Add(await Population.OpenConversationAsync(http, sender, recipient.Id));

        using var loop = new EventLoop();
        progress.PrintPeriodically(loop);
        var stats = new DeliveryStats();
        TestUser[] users = [.. Enumerable.Repeat(recipient, devices), .. senderUsers.Users];
        using var fleet = new Fleet(
            loop, target, [.. users.Select((user, i) => Wire.Upgrade(target.Urls[i % target.Urls.Count], "", user.Token))], stats);
        stats.Streams = [.. senderUsers.Users.Select((_, i) => new MessageStream(
            stats, fleet.Clients[devices + i], fleet.Clients[..devices],
            new Wire.SendFrame(senderUsers.Run, i, conversations[i], options.Number("bytes", 100))))];
        fleet.ConnectAll(progress);

        var run = new MessagingRun(target, options, progress);
        foreach (var stream in stats.Streams)
        {
            stream.OnCompleted = (completed, now) =>
            {
                if (now < run.StopAt)
                    completed.Send(now);
            };
        }

        return await run.RunAsync(
            $"fanout: {target.Name}, one user with {devices} devices, {senders} senders, W={window}",
            loop, fleet, stats,
            _ =>
            {
                foreach (var stream in stats.Streams)
                {
                    for (var i = 0; i < window; i++)
                        stream.Send(EventLoop.Now);
                }
            },
            devices);
    }
}
