using System.Diagnostics;

namespace Chat.Faults;

/// <summary>What happens to Redis. Nothing of it may hold up a message, and nobody may be shown as away for it.</summary>
internal static class Redises
{
    public static Task KilledAsync(Trial trial) => AwayAsync(trial, new Plan(), async cluster =>
    {
        await cluster.Redis.KillAsync();
        await trial.GoOnAsync(4, 12);
        await cluster.Redis.StartAsync();
    });

    public static Task PausedAsync(Trial trial) => AwayAsync(trial, new Plan(), async cluster =>
    {
        cluster.Redis.Pause();
        await trial.GoOnAsync(6, 20);
        cluster.Redis.Resume();
    });

    /// <summary>One node hears nothing from Redis, and does not know it.</summary>
    public static Task DeafAsync(Trial trial) => AwayAsync(trial, new Plan(), async cluster =>
    {
        cluster.ToRedis[0].Answers = Way.Swallowed;
        await trial.GoOnAsync(6, 20);
        // Bytes are missing in what it would hear now: only a new connection makes sense again.
        cluster.ToRedis[0].Heal();
        cluster.ToRedis[0].Reset();
    });

    /// <summary>Redis cuts off whoever does not read what it has for them fast enough.</summary>
    public static Task OverrunAsync(Trial trial) => AwayAsync(
        trial,
        new Plan { Redis = ["--client-output-buffer-limit", "pubsub 16kb 16kb 1"] },
        async cluster =>
        {
            var began = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(began).TotalSeconds < trial.Sized(5, 20))
            {
                // What goes to the node waits until Redis has had enough of it.
                cluster.ToRedis[0].Answers = Way.Stalled;
                await Task.Delay(1500);
                cluster.ToRedis[0].Answers = Way.Open;
                await Task.Delay(500);
            }
        },
        isMissed: false);

    private static async Task AwayAsync(Trial trial, Plan plan, Func<Cluster, Task> fault, bool isMissed = true)
    {
        await using var cluster = await trial.StartAsync(plan);
        await using var load = await trial.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await trial.GoOnAsync(1, 3);
        for (var round = 0; round < trial.Sized(1, 2); round++)
        {
            await fault(cluster);
            trial.Heal(load);
            await trial.GoOnAsync(3, 5);
        }

        await trial.JudgeAsync(cluster, load, watcher, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(20));
        trial.ExpectCalm(watcher, load);
        if (isMissed)
            trial.ExpectUnready(watcher, "redis");
        trial.Expect(load.Refused == 0, $"{load.Refused} sends were answered UNAVAILABLE: messages do not need Redis");
        trial.Expect(trial.Figures.LatestDeliverySeconds <= 5.5, $"something arrived {trial.Figures.LatestDeliverySeconds:0.0} s after its ack");
    }
}
