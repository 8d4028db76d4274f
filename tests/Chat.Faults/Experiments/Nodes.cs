namespace Chat.Faults;

/// <summary>Faults of nodes.</summary>
internal static class Nodes
{
    public static async Task KilledAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster);
        await run.GoOnAsync(2, 5);
        for (var round = 0; round < run.Sized(1, 4); round++)
        {
            var victim = cluster.Nodes[run.Random.Next(cluster.Nodes.Count)];
            await victim.KillAsync();
            run.Heal(load);
            await run.GoOnAsync(2, 5);
            await victim.StartAsync();
            await run.GoOnAsync(1, 3);
        }

        // Clients of the other nodes are undisturbed: none of their sockets was closed.
        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(65));
        var others = load.Closes.Where(close => close.Key != 1006).ToArray();
        run.Expect(others.Length == 0, $"a kill leaves no close codes, and there were {string.Join(", ", others)}");
    }

    /// <summary>
    /// A node's machine disappears without notice: to PostgreSQL it is still connected, perhaps in the middle of a transaction
    /// that holds a conversation's lock. Its clients have to find out by themselves.
    /// </summary>
    public static async Task LostAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster);
        await run.GoOnAsync(2, 5);
        for (var round = 0; round < run.Sized(1, 4); round++)
        {
            var victim = run.Random.Next(cluster.Nodes.Count);
            foreach (var proxy in (FaultProxy[])[cluster.ToPostgres[victim], cluster.ToRedis[victim]])
                proxy.Set(Way.Stalled);
            await Task.Delay(100);
            await cluster.Nodes[victim].KillAsync();
            run.Heal(load);
            await run.GoOnAsync(8, 10);
            foreach (var proxy in (FaultProxy[])[cluster.ToPostgres[victim], cluster.ToRedis[victim]])
            {
                proxy.Reset();
                proxy.Heal();
            }

            await cluster.Nodes[victim].StartAsync();
            await run.GoOnAsync(1, 3);
        }

        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(10), presenceSettlesWithin: TimeSpan.FromSeconds(65));
    }

    public static async Task RollingRestartAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster);
        await run.GoOnAsync(1, 5);
        var slowest = TimeSpan.Zero;
        for (var round = 0; round < run.Sized(1, 3); round++)
        {
            foreach (var node in cluster.Nodes)
            {
                var took = await node.TerminateAsync();
                slowest = took > slowest ? took : slowest;
                await node.StartAsync();
                run.Heal(load);
                await run.GoOnAsync(0.5, 3);
            }
        }

        run.Note("slowest stop", slowest);
        run.Expect(slowest < TimeSpan.FromSeconds(30), $"a stop took {slowest.TotalSeconds:0.0} s");
        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5));
        run.Expect(load.Closes.ContainsKey(1012), "no client was closed with 1012");
        run.Expect(!load.Closes.ContainsKey(1006), $"{load.Closes.GetValueOrDefault(1006)} connections broke instead of being closed");
    }
}
