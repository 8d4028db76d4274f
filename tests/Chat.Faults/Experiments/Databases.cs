using System.Diagnostics;
using Npgsql;

namespace Chat.Faults;

/// <summary>What happens to PostgreSQL.</summary>
internal static class Databases
{
    private static readonly TimeSpan Back = TimeSpan.FromSeconds(5.5);

    public static Task RestartedFastAsync(Trial trial) => AwayAsync(trial, new Plan(), async (cluster, _) =>
    {
        await cluster.Postgres.StopFastAsync();
        await trial.GoOnAsync(2, 8);
        await cluster.Postgres.StartAsync();
    });

    public static Task RestartedImmediatelyAsync(Trial trial) => AwayAsync(trial, new Plan(), async (cluster, _) =>
    {
        await cluster.Postgres.StopImmediatelyAsync();
        await trial.GoOnAsync(2, 8);
        await cluster.Postgres.StartAsync();
    });

    public static Task PausedAsync(Trial trial) => AwayAsync(trial, new Plan(), async (cluster, _) =>
    {
        cluster.Postgres.Pause();
        await Task.Delay(TimeSpan.FromSeconds(trial.IsShort ? 6 : trial.Random.Next(5, 31)));
        cluster.Postgres.Resume();
    });

    public static Task SilentAsync(Trial trial) => AwayAsync(trial, new Plan(), async (cluster, _) =>
    {
        // Answers of one node only: its database has taken everything and says nothing.
        cluster.ToPostgres[0].Answers = Way.Swallowed;
        await trial.GoOnAsync(6, 12);
        cluster.ToPostgres[0].Heal();
        cluster.ToPostgres[0].Reset();
    });

    public static Task RefusingAsync(Trial trial) => AwayAsync(trial, new Plan(), async (cluster, _) =>
    {
        cluster.ToPostgres[1].Refuse();
        await trial.GoOnAsync(3, 10);
        cluster.ToPostgres[1].Heal();
    });

    public static async Task CutInMidCommitAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 2 });
        await using var load = await trial.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await trial.GoOnAsync(1, 2);
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < trial.Sized(4, 25))
        {
            // The database has committed, and the word of it is lost.
            foreach (var proxy in cluster.ToPostgres)
                proxy.CutAnswer(PostgresServer.SaysDone);
            await Task.Delay(trial.Random.Next(50, 150));
        }

        foreach (var proxy in cluster.ToPostgres)
            proxy.Heal();
        trial.Heal(load);
        await trial.GoOnAsync(2, 4);
        var cuts = cluster.ToPostgres.Sum(proxy => proxy.Cuts);
        trial.Note("commits cut", $"{cuts}");
        trial.Expect(cuts >= 10, $"only {cuts} commits were cut");
        await trial.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        trial.ExpectCalm(watcher, load);
    }

    public static async Task SlowAndTornAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 2 });
        await using var load = await trial.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        foreach (var proxy in cluster.ToPostgres)
        {
            proxy.Latency = TimeSpan.FromMilliseconds(30);
            proxy.CutAfter(trial.Random.Next(20_000, 60_000));
        }

        await trial.GoOnAsync(4, 25);
        foreach (var proxy in cluster.ToPostgres)
            proxy.Heal();
        trial.Heal(load);
        await trial.GoOnAsync(2, 4);
        var cuts = cluster.ToPostgres.Sum(proxy => proxy.Cuts);
        trial.Note("connections cut", $"{cuts}");
        trial.Expect(cuts > 0, "no connection was cut");
        await trial.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        trial.ExpectCalm(watcher, load);
    }

    /// <summary>Somebody else takes every connection that PostgreSQL gives.</summary>
    public static Task OutOfConnectionsAsync(Trial trial) => AwayAsync(
        trial,
        new Plan { Postgres = ["max_connections=40"], PoolSize = 10 },
        async (cluster, _) =>
        {
            var taken = new List<NpgsqlConnection>();
            try
            {
                for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < trial.Sized(4, 15);)
                {
                    var connection = new NpgsqlConnection(cluster.Postgres.Direct);
                    try
                    {
                        await connection.OpenAsync();
                        taken.Add(connection);
                        // Whoever has one loses it, and gets none again.
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

    /// <summary>The disk that holds PostgreSQL's log of changes is full, and PostgreSQL stops for it.</summary>
    public static async Task DiskFullAsync(Trial trial)
    {
        const string Size = "96m";
        var disk = Directory.CreateDirectory(Path.Combine(trial.Workshop.Folder, "disk")).FullName;
        using (var mount = Process.Start("mount", ["-t", "tmpfs", "-o", $"size={Size},mode=777", "none", disk]))
        {
            await mount.WaitForExitAsync();
            if (mount.ExitCode != 0)
                throw new CannotException("a disk of its own needs mount, which only root may do");
        }

        trial.Workshop.Reaper.Mounted(disk);
        var wal = Path.Combine(disk, "wal");
        await trial.Workshop.Files.RunAsync("mkdir", wal);
        var plan = new Plan { WalFolder = wal, Postgres = ["min_wal_size=32MB", "max_wal_size=48MB"] };
        await AwayAsync(
            trial,
            plan,
            async (cluster, load) =>
            {
                var filler = Path.Combine(disk, "filler");
                using (var file = File.Create(filler))
                {
                    // All that there is, and again whatever PostgreSQL gives back.
                    for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < trial.Sized(6, 15);)
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

    private static async Task AwayAsync(Trial trial, Plan plan, Func<Cluster, Load, Task> fault)
    {
        await using var cluster = await trial.StartAsync(plan with { Nodes = 2 });
        await using var load = await trial.TalkAsync(cluster);
        await using var watcher = new Watcher(load);
        await trial.GoOnAsync(1, 3);
        for (var round = 0; round < trial.Sized(1, 2); round++)
        {
            trial.Break(load);
            await fault(cluster, load);
            trial.Heal(load);
            await trial.GoOnAsync(3, 6);
        }

        await trial.JudgeAsync(cluster, load, watcher, recoversWithin: Back);
        trial.ExpectCalm(watcher, load);
        trial.ExpectUnready(watcher, "postgres");
        trial.Expect(trial.Figures.LatestBeyondFaultsSeconds <= Back.TotalSeconds, $"something arrived {trial.Figures.LatestBeyondFaultsSeconds:0.0} s after its ack and the end of the fault");
        trial.Expect(load.Refused > 0, "nothing was answered UNAVAILABLE: the database was not away");
    }
}
