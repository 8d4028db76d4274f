using System.Diagnostics;

namespace Chat.Faults;

/// <summary>Random faults, one or two at a time, under as much load as the machine bears. The seed selects them.</summary>
internal static class RandomFaults
{
    public static async Task RunAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster, run.Sized(new Crowd(24, 2, 300), new Crowd(120, 2, 3000)));
        await run.GoOnAsync(1, 2);
        var faults = new List<string>();
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(15, 75))
        {
            var node = run.Random.Next(cluster.Nodes.Count);
            var (name, fault) = Choose(cluster, node, run.Random);
            faults.Add(name);
            await fault();
            run.Heal(load);
            await Task.Delay(run.Random.Next(500, 2500));
        }

        run.Note("faults", string.Join(" ", faults.GroupBy(fault => fault).Select(same => $"{same.Key}×{same.Count()}")));
        await run.JudgeAsync(cluster, load, presenceSettlesWithin: TimeSpan.FromSeconds(65));
    }

    private static (string Name, Func<Task> Fault) Choose(Cluster cluster, int node, Random random) => random.Next(9) switch
    {
        0 => ("kill", async () =>
        {
            await cluster.Nodes[node].KillAsync();
            await Task.Delay(random.Next(2000));
            await cluster.Nodes[node].StartAsync();
        }
        ),
        1 => ("stop", async () =>
        {
            await cluster.Nodes[node].TerminateAsync();
            await cluster.Nodes[node].StartAsync();
        }
        ),
        2 => ("postgres-immediate", async () =>
        {
            await cluster.Postgres.StopImmediatelyAsync();
            await cluster.Postgres.StartAsync();
        }
        ),
        3 => ("postgres-fast", async () =>
        {
            await cluster.Postgres.StopFastAsync();
            await Task.Delay(random.Next(1000));
            await cluster.Postgres.StartAsync();
        }
        ),
        4 => ("postgres-pause", async () =>
        {
            cluster.Postgres.Pause();
            await Task.Delay(random.Next(500, 5000));
            cluster.Postgres.Resume();
        }
        ),
        5 => ("redis-kill", async () =>
        {
            await cluster.Redis.KillAsync();
            await Task.Delay(random.Next(3000));
            await cluster.Redis.StartAsync();
        }
        ),
        6 => ("redis-cut", async () =>
        {
            cluster.ToRedis[node].Refuse();
            await Task.Delay(random.Next(3000));
            cluster.ToRedis[node].Heal();
        }
        ),
        7 => ("postgres-cut", () =>
        {
            cluster.ToPostgres[node].Reset();
            return Task.CompletedTask;
        }
        ),
        _ => ("commit-cut", async () =>
        {
            cluster.ToPostgres[node].CutAnswer(PostgresServer.SaysDone);
            await Task.Delay(300);
        }
        ),
    };
}
