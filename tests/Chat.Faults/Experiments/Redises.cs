using System.Diagnostics;
using Npgsql;

namespace Chat.Faults;

/// <summary>Faults of Redis. None may delay a message or show a user as offline.</summary>
internal static class Redises
{
    public static Task KilledAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async cluster =>
    {
        await cluster.Redis.KillAsync();
        await run.GoOnAsync(4, 12);
        await cluster.Redis.StartAsync();
    });

    public static Task PausedAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async cluster =>
    {
        cluster.Redis.Pause();
        await run.GoOnAsync(6, 20);
        cluster.Redis.Resume();
    });

    /// <summary>One node receives nothing from Redis and does not know it.</summary>
    public static Task DeafAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async cluster =>
    {
        cluster.ToRedis[0].Answers = Way.Swallowed;
        await run.GoOnAsync(6, 20);
        // The stream has lost bytes by now: only a new connection is usable.
        cluster.ToRedis[0].Heal();
        cluster.ToRedis[0].Reset();
    });

    /// <summary>
    /// One node receives nothing from Redis, while a transaction stays open in PostgreSQL: what commits before it has a higher
    /// transaction id, and must be found all the same.
    /// </summary>
    public static Task DeafBesideLongTransactionAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async cluster =>
    {
        await using var connection = new NpgsqlConnection(cluster.Postgres.Direct);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var begin = new NpgsqlCommand("select pg_current_xact_id()", connection, transaction))
            await begin.ExecuteScalarAsync();
        cluster.ToRedis[0].Answers = Way.Swallowed;
        await run.GoOnAsync(6, 20);
        await transaction.RollbackAsync();
        cluster.ToRedis[0].Heal();
        cluster.ToRedis[0].Reset();
    });

    /// <summary>Redis disconnects a client that does not read its output fast enough.</summary>
    public static Task OverrunAsync(ExperimentRun run) => AwayAsync(
        run,
        new Plan { Redis = ["--client-output-buffer-limit", "pubsub 16kb 16kb 1"] },
        async cluster =>
        {
            var began = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(5, 20))
            {
                // The output for the node accumulates until Redis exceeds its limit.
                cluster.ToRedis[0].Answers = Way.Stalled;
                await Task.Delay(1500);
                cluster.ToRedis[0].Answers = Way.Open;
                await Task.Delay(500);
            }
        },
        isMissed: false);

    private static async Task AwayAsync(ExperimentRun run, Plan plan, Func<Cluster, Task> fault, bool isMissed = true)
    {
        await using var cluster = await run.StartAsync(plan);
        await using var load = await run.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await run.GoOnAsync(1, 3);
        for (var round = 0; round < run.Sized(1, 2); round++)
        {
            await fault(cluster);
            run.Heal(load);
            await run.GoOnAsync(3, 5);
        }

        await run.JudgeAsync(
            cluster, load, watcher, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(20));
        run.ExpectCalm(watcher, load);
        if (isMissed)
            run.ExpectUnready(watcher, "redis");
        run.Expect(load.Refused == 0, $"{load.Refused} sends were answered UNAVAILABLE: messages do not need Redis");
        run.Expect(run.Figures.LatestDeliverySeconds <= 3.5, $"something arrived {run.Figures.LatestDeliverySeconds:0.0} s after its ack");
    }
}
