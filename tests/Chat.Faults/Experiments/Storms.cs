using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Chat.Faults;

/// <summary>All clients at once.</summary>
internal static class Storms
{
    private const int Addresses = 8;

    public static Task WithJitterAsync(ExperimentRun run) => StormAsync(run, TimeSpan.FromSeconds(run.Sized(3, 10)));

    public static Task WithoutJitterAsync(ExperimentRun run) => StormAsync(run, TimeSpan.Zero);

    // A node is killed with all of its sockets and restarted; all of them reconnect and sync.
    private static async Task StormAsync(ExperimentRun run, TimeSpan jitter)
    {
        var count = run.Sized(1000, 10_000);
        await using var cluster = await run.StartAsync(new Plan { Nodes = 1 });
        await using var load = await run.TalkAsync(cluster, new Crowd(16, 1, 50));
        using var handshakes = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, ConnectCallback = ConnectAsync });
        var people = Enumerable.Range(0, count).Select(i => new User(Guid.NewGuid(), $"storm{i}")).ToArray();
        var tokens = people.AsParallel().AsOrdered().Select(Cluster.TokenFor).ToArray();
        var sockets = new ConcurrentBag<ClientSocket>();
        try
        {
            var (first, firstWithin) = await ComeAsync(TimeSpan.FromSeconds(run.Sized(2, 10)));
            run.Note("the first time", $"{first} of {count} within {firstWithin.TotalSeconds:0.0} s");
            await cluster.Nodes[0].KillAsync();
            foreach (var socket in sockets)
                await socket.Ended;
            await cluster.Nodes[0].StartAsync();
            run.Heal(load);
            var (back, within) = await ComeAsync(jitter);
            run.Note("back", $"{back} of {count}, 95 of 100 within {within.TotalSeconds:0.0} s");
            run.Expect(
                back >= 0.95 * count && within < TimeSpan.FromSeconds(30), $"{back} of {count} came back within {within.TotalSeconds:0} s");
        }
        finally
        {
            foreach (var socket in sockets)
            {
                socket.Cut();
                socket.Dispose();
            }
        }

        await run.JudgeAsync(cluster, load, presenceSettlesWithin: TimeSpan.FromSeconds(65));

        async Task<(int Back, TimeSpan Within)> ComeAsync(TimeSpan spread)
        {
            var began = Stopwatch.GetTimestamp();
            var times = new ConcurrentBag<TimeSpan>();
            await Task.WhenAll(people.Select((user, i) => Task.Run(async () =>
            {
                await Task.Delay(spread * Random.Shared.NextDouble());
                for (var tries = 0; Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(60); tries++)
                {
                    var socket = await ClientSocket.OpenAsync(cluster.Nodes[0], handshakes, user.Name, user, tokens[i],
                        new Dictionary<Guid, long>(), load.Began, (_, _) => { }, TimeSpan.FromSeconds(20));
                    if (socket is not null)
                    {
                        sockets.Add(socket);
                        if (await socket.SynchronizeAsync(TimeSpan.FromSeconds(20)))
                        {
                            times.Add(Stopwatch.GetElapsedTime(began));
                            return;
                        }
                    }

                    await Task.Delay(TimeSpan.FromMilliseconds((100 << Math.Min(tries, 5)) * (0.5 + Random.Shared.NextDouble())));
                }
            })));
            var sorted = times.Order().ToArray();
            return (sorted.Length, sorted.Length == 0 ? TimeSpan.MaxValue : sorted[Math.Min(sorted.Length - 1, (int)(0.95 * count))]);
        }
    }

    // A single address has some 28,000 ephemeral ports.
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var address = new IPAddress([127, 0, 0, (byte)(2 + Random.Shared.Next(Addresses))]);
        return new NetworkStream(
            await RawSocket.ConnectAsync(context.DnsEndPoint.Port, address, cancellation: cancellationToken), ownsSocket: true);
    }
}
