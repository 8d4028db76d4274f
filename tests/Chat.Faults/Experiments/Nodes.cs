namespace Chat.Faults;

/// <summary>What happens to nodes.</summary>
internal static class Nodes
{
    public static async Task KilledAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan());
        await using var load = await trial.TalkAsync(cluster);
        await trial.GoOnAsync(2, 5);
        for (var round = 0; round < trial.Sized(1, 4); round++)
        {
            var victim = cluster.Nodes[trial.Random.Next(cluster.Nodes.Count)];
            await victim.KillAsync();
            trial.Heal(load);
            await trial.GoOnAsync(2, 5);
            await victim.StartAsync();
            await trial.GoOnAsync(1, 3);
        }

        // The others' clients are undisturbed: nobody else's socket was closed.
        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(65));
        var others = load.Closes.Where(close => close.Key != 1006).ToArray();
        trial.Expect(others.Length == 0, $"a kill leaves no close codes, and there were {string.Join(", ", others)}");
    }

    /// <summary>
    /// The machine of a node vanishes, and nobody is told: to PostgreSQL it is still connected, perhaps in the middle of
    /// a transaction that holds the lock of a conversation. Its clients find out by themselves.
    /// </summary>
    public static async Task LostAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan());
        await using var load = await trial.TalkAsync(cluster);
        await trial.GoOnAsync(2, 5);
        for (var round = 0; round < trial.Sized(1, 4); round++)
        {
            var victim = trial.Random.Next(cluster.Nodes.Count);
            foreach (var proxy in (FaultProxy[])[cluster.ToPostgres[victim], cluster.ToRedis[victim]])
                proxy.Set(Way.Stalled);
            await Task.Delay(100);
            await cluster.Nodes[victim].KillAsync();
            trial.Heal(load);
            await trial.GoOnAsync(8, 10);
            foreach (var proxy in (FaultProxy[])[cluster.ToPostgres[victim], cluster.ToRedis[victim]])
            {
                proxy.Reset();
                proxy.Heal();
            }

            await cluster.Nodes[victim].StartAsync();
            await trial.GoOnAsync(1, 3);
        }

        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(10), presenceSettlesWithin: TimeSpan.FromSeconds(65));
    }

    public static async Task RollingRestartAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan());
        await using var load = await trial.TalkAsync(cluster);
        await trial.GoOnAsync(1, 5);
        var slowest = TimeSpan.Zero;
        for (var round = 0; round < trial.Sized(1, 3); round++)
        {
            foreach (var node in cluster.Nodes)
            {
                var took = await node.TerminateAsync();
                slowest = took > slowest ? took : slowest;
                await node.StartAsync();
                trial.Heal(load);
                await trial.GoOnAsync(0.5, 3);
            }
        }

        trial.Note("slowest stop", slowest);
        trial.Expect(slowest < TimeSpan.FromSeconds(30), $"a stop took {slowest.TotalSeconds:0.0} s");
        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5));
        trial.Expect(load.Closes.ContainsKey(1012), "nobody was closed with 1012");
        trial.Expect(!load.Closes.ContainsKey(1006), $"{load.Closes.GetValueOrDefault(1006)} connections broke instead of being closed");
    }
}
