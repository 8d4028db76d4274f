using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Chat.Faults;

/// <summary>Everybody at once.</summary>
internal static class Storms
{
    private const int Addresses = 8;

    public static Task WithJitterAsync(Trial trial) => StormAsync(trial, TimeSpan.FromSeconds(trial.Sized(3, 10)));

    public static Task WithoutJitterAsync(Trial trial) => StormAsync(trial, TimeSpan.Zero);

    // A node is killed under all of its sockets and started again; they come back, each one's sync included.
    private static async Task StormAsync(Trial trial, TimeSpan jitter)
    {
        var sockets = trial.Sized(1000, 10_000);
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 1 });
        await using var load = await trial.TalkAsync(cluster, new Crowd(16, 1, 50));
        using var handshakes = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, ConnectCallback = ConnectAsync });
        var people = Enumerable.Range(0, sockets).Select(i => new User(Guid.NewGuid(), $"storm{i}")).ToArray();
        var tokens = people.AsParallel().AsOrdered().Select(Cluster.TokenFor).ToArray();
        var lines = new ConcurrentBag<Line>();
        try
        {
            var (first, firstWithin) = await ComeAsync(TimeSpan.FromSeconds(trial.Sized(2, 10)));
            trial.Note("the first time", $"{first} of {sockets} within {firstWithin.TotalSeconds:0.0} s");
            await cluster.Nodes[0].KillAsync();
            foreach (var line in lines)
                await line.Ended;
            await cluster.Nodes[0].StartAsync();
            trial.Heal(load);
            var (back, within) = await ComeAsync(jitter);
            trial.Note("back", $"{back} of {sockets}, 95 of 100 within {within.TotalSeconds:0.0} s");
            trial.Expect(back >= 0.95 * sockets && within < TimeSpan.FromSeconds(30), $"{back} of {sockets} came back within {within.TotalSeconds:0} s");
        }
        finally
        {
            foreach (var line in lines)
            {
                line.Cut();
                line.Dispose();
            }
        }

        await trial.JudgeAsync(cluster, load, presenceSettlesWithin: TimeSpan.FromSeconds(65));

        async Task<(int Back, TimeSpan Within)> ComeAsync(TimeSpan spread)
        {
            var began = Stopwatch.GetTimestamp();
            var times = new ConcurrentBag<TimeSpan>();
            await Task.WhenAll(people.Select((user, i) => Task.Run(async () =>
            {
                await Task.Delay(spread * Random.Shared.NextDouble());
                for (var tries = 0; Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(60); tries++)
                {
                    var line = await Line.OpenAsync(cluster.Nodes[0], handshakes, user.Name, user, tokens[i], new Dictionary<Guid, long>(), load.Began, (_, _) => { }, TimeSpan.FromSeconds(20));
                    if (line is not null)
                    {
                        lines.Add(line);
                        if (await line.CatchUpAsync(TimeSpan.FromSeconds(20)))
                        {
                            times.Add(Stopwatch.GetElapsedTime(began));
                            return;
                        }
                    }

                    await Task.Delay(TimeSpan.FromMilliseconds((100 << Math.Min(tries, 5)) * (0.5 + Random.Shared.NextDouble())));
                }
            })));
            var sorted = times.Order().ToArray();
            return (sorted.Length, sorted.Length == 0 ? TimeSpan.MaxValue : sorted[Math.Min(sorted.Length - 1, (int)(0.95 * sockets))]);
        }
    }

    // A single address has no more than some 28,000 ports to call from.
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var address = new IPAddress([127, 0, 0, (byte)(2 + Random.Shared.Next(Addresses))]);
        return new NetworkStream(await RawSocket.ConnectAsync(context.DnsEndPoint.Port, address, cancellation: cancellationToken), ownsSocket: true);
    }
}
