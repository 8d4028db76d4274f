using System.Diagnostics;
using Npgsql;

namespace Chat.Faults;

/// <summary>Faults of PostgreSQL.</summary>
internal static class Databases
{
    private static readonly TimeSpan Back = TimeSpan.FromSeconds(5.5);

    public static Task RestartedFastAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async (cluster, _) =>
    {
        await cluster.Postgres.StopFastAsync();
        await run.GoOnAsync(2, 8);
        await cluster.Postgres.StartAsync();
    });

    public static Task RestartedImmediatelyAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async (cluster, _) =>
    {
        await cluster.Postgres.StopImmediatelyAsync();
        await run.GoOnAsync(2, 8);
        await cluster.Postgres.StartAsync();
    });

    public static Task PausedAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async (cluster, _) =>
    {
        cluster.Postgres.Pause();
        await Task.Delay(TimeSpan.FromSeconds(run.IsShort ? 6 : run.Random.Next(5, 31)));
        cluster.Postgres.Resume();
    });

    public static Task SilentAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async (cluster, _) =>
    {
        // The replies of one node only: its database has received everything and answers nothing.
        cluster.ToPostgres[0].Answers = Way.Swallowed;
        await run.GoOnAsync(6, 12);
        cluster.ToPostgres[0].Heal();
        cluster.ToPostgres[0].Reset();
    });

    public static Task RefusingAsync(ExperimentRun run) => AwayAsync(run, new Plan(), async (cluster, _) =>
    {
        cluster.ToPostgres[1].Refuse();
        await run.GoOnAsync(3, 10);
        cluster.ToPostgres[1].Heal();
    });

    public static async Task CutInMidCommitAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 2 });
        await using var load = await run.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await run.GoOnAsync(1, 2);
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(4, 25))
        {
            // The database has committed, but its confirmation is lost.
            foreach (var proxy in cluster.ToPostgres)
                proxy.CutAnswer(PostgresServer.SaysDone);
            await Task.Delay(run.Random.Next(50, 150));
        }

        foreach (var proxy in cluster.ToPostgres)
            proxy.Heal();
        run.Heal(load);
        await run.GoOnAsync(2, 4);
        var cuts = cluster.ToPostgres.Sum(proxy => proxy.Cuts);
        run.Note("commits cut", $"{cuts}");
        run.Expect(cuts >= 10, $"only {cuts} commits were cut");
        await run.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        run.ExpectCalm(watcher, load);
    }

    public static async Task SlowAndTornAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 2 });
        await using var load = await run.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        foreach (var proxy in cluster.ToPostgres)
        {
            proxy.Latency = TimeSpan.FromMilliseconds(30);
            proxy.CutAfter(run.Random.Next(20_000, 60_000));
        }

        await run.GoOnAsync(4, 25);
        foreach (var proxy in cluster.ToPostgres)
            proxy.Heal();
        run.Heal(load);
        await run.GoOnAsync(2, 4);
        var cuts = cluster.ToPostgres.Sum(proxy => proxy.Cuts);
        run.Note("connections cut", $"{cuts}");
        run.Expect(cuts > 0, "no connection was cut");
        await run.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        run.ExpectCalm(watcher, load);
    }

    /// <summary>Another client takes all connections to PostgreSQL.</summary>
    public static Task OutOfConnectionsAsync(ExperimentRun run) => AwayAsync(
        run,
        new Plan { Postgres = ["max_connections=40"], PoolSize = 10 },
        async (cluster, _) =>
        {
            var taken = new List<NpgsqlConnection>();
            try
            {
                for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(4, 15);)
                {
                    var connection = new NpgsqlConnection(cluster.Postgres.Direct);
                    try
                    {
                        await connection.OpenAsync();
                        taken.Add(connection);
                        // Existing connections are terminated and cannot be replaced.
                        foreach (var proxy in cluster.ToPostgres)
                            proxy.Reset();
                    }
                    catch (NpgsqlException)
                    {
                        await connection.DisposeAsync();
                        await Task.Delay(50);
                    }
                }
            }
            finally
            {
                foreach (var connection in taken)
                    await connection.DisposeAsync();
            }
        });

    /// <summary>The disk with PostgreSQL's write-ahead log is full, and PostgreSQL stops.</summary>
    public static async Task DiskFullAsync(ExperimentRun run)
    {
        const string Size = "96m";
        var disk = Directory.CreateDirectory(Path.Combine(run.Environment.Folder, "disk")).FullName;
        using (var mount = Process.Start("mount", ["-t", "tmpfs", "-o", $"size={Size},mode=777", "none", disk]))
        {
            await mount.WaitForExitAsync();
            if (mount.ExitCode != 0)
                throw new CannotException("a disk of its own needs mount, which only root may do");
        }

        run.Environment.Reaper.Mounted(disk);
        var wal = Path.Combine(disk, "wal");
        await run.Environment.Files.RunAsync("mkdir", wal);
        var plan = new Plan { WalFolder = wal, Postgres = ["min_wal_size=32MB", "max_wal_size=48MB"] };
        await AwayAsync(
            run,
            plan,
            async (cluster, load) =>
            {
                var filler = Path.Combine(disk, "filler");
                using (var file = File.Create(filler))
                {
                    // Takes all free space, and again what PostgreSQL releases.
                    for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(6, 15);)
                    {
                        try
                        {
                            await file.WriteAsync(new byte[64 * 1024]);
                            await file.FlushAsync();
                        }
                        catch (IOException)
                        {
                            await cluster.Postgres.ExecuteAsync("select pg_switch_wal()").ContinueWith(_ => { }, TaskScheduler.Default);
                            await Task.Delay(100);
                        }
                    }
                }

                File.Delete(filler);
                await cluster.Postgres.StartIfStoppedAsync();
            });
    }

    private static async Task AwayAsync(ExperimentRun run, Plan plan, Func<Cluster, Load, Task> fault)
    {
        await using var cluster = await run.StartAsync(plan with { Nodes = 2 });
        await using var load = await run.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await run.GoOnAsync(1, 3);
        for (var round = 0; round < run.Sized(1, 2); round++)
        {
            run.Break(load);
            await fault(cluster, load);
            run.Heal(load);
            await run.GoOnAsync(3, 6);
        }

        await run.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        run.ExpectCalm(watcher, load);
        run.ExpectUnready(watcher, "postgres");
        run.Expect(run.Figures.LatestBeyondFaultsSeconds <= Back.TotalSeconds,
            $"something arrived {run.Figures.LatestBeyondFaultsSeconds:0.0} s after its ack and the end of the fault");
        run.Expect(load.Refused > 0, "nothing was answered UNAVAILABLE: the database was available");
    }
}
