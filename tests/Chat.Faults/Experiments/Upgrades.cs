using System.Diagnostics;
using System.Globalization;

namespace Chat.Faults;

/// <summary>Planned operations on an installation under load.</summary>
internal static class Upgrades
{
    /// <summary>
    /// The previous version, whose nodes must keep working during a rolling upgrade: the last release, or until there is one,
    /// the last commit with a different schema.
    /// </summary>
    public const string LastVersion = "d16e20280488d3b9722c3f869ca5bacacb56caeb";

    private static readonly TimeSpan BuildLimit = TimeSpan.FromMinutes(4);

    /// <summary>All clients connect through the load balancer, so none knows its node.</summary>
    public static Task BehindHaproxyAsync(ExperimentRun run) => ThroughHaproxyAsync(run, async (cluster, _, load, haproxy) =>
    {
        await RestartOneByOneAsync(run, cluster, load);
        // It keeps idle connections to the nodes.
        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), whenLeft: () => haproxy.Send(Signal.Kill));
        ExpectGoodbyes(run, load);
    });

    /// <summary>Redis is unavailable to all nodes: none is ready, all keep working, and new clients are still admitted.</summary>
    public static Task WithoutAReadyNodeAsync(ExperimentRun run) => ThroughHaproxyAsync(run, async (cluster, front, load, haproxy) =>
    {
        cluster.Redis.Pause();
        foreach (var node in cluster.Nodes)
            await Wait.UntilAsync(
                $"{node.Name} is not ready", TimeSpan.FromSeconds(20), async () => !(await node.HealthAsync("ready")).IsOk);
        // The load balancer probes every second and acts on the second result.
        await run.GoOnAsync(4, 10);
        run.Expect((await front.HealthAsync("live")).IsOk, "no client reaches a node any more");
        cluster.Redis.Resume();
        foreach (var node in cluster.Nodes)
            await Wait.UntilAsync(
                $"{node.Name} is ready again", TimeSpan.FromSeconds(20), async () => (await node.HealthAsync("ready")).IsOk);
        run.Heal(load);
        await run.GoOnAsync(2, 5);
        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(20),
            whenLeft: () => haproxy.Send(Signal.Kill));
        run.Expect(load.Closes.Count == 0, "sockets did not stay");
    });

    private static async Task ThroughHaproxyAsync(ExperimentRun run, Func<Cluster, ChatNode, Load, Child, Task> goOn)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 2, Node = { ["Proxies__Known"] = "127.0.0.1" } });
        var port = run.Environment.Ports.Next();
        await using var haproxy = StartHaproxy(run, cluster, port);
        // Stands in for the load balancer where a node is expected; never started itself.
        await using var front =
            new ChatNode("front", "", port, new Dictionary<string, string>(), run.Environment.Log("front"), run.Environment.Reaper);
        await Wait.UntilAsync(
            "the load balancer sends people on", TimeSpan.FromSeconds(20), async () => (await front.HealthAsync("ready")).IsOk);
        // The same servers behind another entry point.
        var installation = new Cluster([front], cluster.Postgres, cluster.Redis, cluster.ToPostgres, cluster.ToRedis);
        await using var load = await run.TalkAsync(installation);
        await run.GoOnAsync(1, 5);
        run.Note("spread", string.Join(" and ", cluster.Nodes.Select(Cluster.ConnectionsTo)));
        run.Expect(cluster.Nodes.All(node => Cluster.ConnectionsTo(node) > 0), "one node got all connections");
        await goOn(cluster, front, load, haproxy);
    }

    /// <summary>Migrates the schema under the old nodes, then upgrades one node after the other.</summary>
    public static async Task FromOldAsync(ExperimentRun run)
    {
        var old = await BuildAsync(run, run.Options.Old);
        await using var cluster = await run.StartAsync(new Plan { Nodes = 2, Server = old });
        await using var load = await run.TalkAsync(cluster);
        await run.GoOnAsync(2, 5);
        var began = Stopwatch.GetTimestamp();
        var (first, wasOld) = (cluster.Nodes[0], cluster.Nodes[0].Assembly);
        first.Assembly = TestEnvironment.Release;
        await first.RunAsync("db-apply");
        first.Assembly = wasOld;
        run.Note("db-apply", Stopwatch.GetElapsedTime(began));
        // Old nodes run on the new schema for the duration of the rollout.
        await run.GoOnAsync(2, 10);
        run.Expect(load.Closes.Count == 0, "the new schema closed connections of the old version");
        await RestartOneByOneAsync(run, cluster, load, TestEnvironment.Release);
        await run.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5));
        ExpectGoodbyes(run, load);
    }

    /// <summary>
    /// Publishes the previous server from git into the run's folder. Runs at low priority, but with enough processor time to
    /// finish; without analyzers, which take two fifths of it and have passed when that version was made.
    /// </summary>
    private static async Task<string> BuildAsync(ExperimentRun run, string commit)
    {
        const string Build =
            "git archive \"$0\" | tar -x -C \"$1\" && cd \"$1\" && exec nice -n 5 dotnet publish src/Chat -c Release -o \"$1/out\" -nodeReuse:false -p:UseSharedCompilation=false -p:RunAnalyzers=false";
        var began = Stopwatch.GetTimestamp();
        if (!await RunAsync("exec git cat-file -e \"$0^{commit}\"", commit))
            throw new CannotException($"git does not know {commit} here");
        var folder = Directory.CreateDirectory(Path.Combine(run.Environment.Folder, "old")).FullName;
        if (!await RunAsync(Build, commit, folder))
            throw new InvalidOperationException(
                $"{commit} does not build: {await File.ReadAllTextAsync(run.Environment.Log("old-build"))}");
        run.Note("old version", commit[..Math.Min(commit.Length, 12)]);
        run.Note("its build", Stopwatch.GetElapsedTime(began));
        return Path.Combine(folder, "out", "Chat.dll");

        async Task<bool> RunAsync(string script, params string[] arguments)
        {
            var command = new ProcessStartInfo("/bin/sh", ["-c", script, .. arguments]) { WorkingDirectory = Checkout() };
            await using var child = Child.Start(command, run.Environment.Log("old-build"), run.Environment.Reaper);
            return await child.ExitAsync(BuildLimit) == 0;
        }
    }

    private static async Task RestartOneByOneAsync(ExperimentRun run, Cluster cluster, Load load, string? server = null)
    {
        var slowest = TimeSpan.Zero;
        foreach (var node in cluster.Nodes)
        {
            var took = await node.TerminateAsync();
            slowest = took > slowest ? took : slowest;
            node.Assembly = server ?? node.Assembly;
            await node.StartAsync();
            await Wait.UntilAsync($"{node.Name} is ready", TimeSpan.FromSeconds(30), async () => (await node.HealthAsync("ready")).IsOk);
            run.Heal(load);
            // The load balancer has to notice, and both versions must work side by side.
            await run.GoOnAsync(4, 10);
        }

        run.Note("slowest stop", slowest);
        run.Expect(slowest < TimeSpan.FromSeconds(30), $"a stop took {slowest.TotalSeconds:0.0} s");
    }

    private static void ExpectGoodbyes(ExperimentRun run, Load load)
    {
        run.Expect(load.Closes.ContainsKey(1012), "no client was closed with 1012");
        run.Expect(!load.Closes.ContainsKey(1006), $"{load.Closes.GetValueOrDefault(1006)} connections broke instead of being closed");
    }

    private static Child StartHaproxy(ExperimentRun run, Cluster cluster, int port)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin")
            .Select(folder => Path.Combine(folder, "haproxy")).FirstOrDefault(File.Exists)
            ?? throw new CannotException("HAProxy is not installed");
        var command = new ProcessStartInfo(program, ["-db", "-f", Path.Combine(Checkout(), "deploy", "haproxy", "haproxy.cfg")]);
        command.Environment["PORT"] = port.ToString(CultureInfo.InvariantCulture);
        command.Environment["STATS_SOCKET"] = Path.Combine(run.Environment.Folder, "haproxy.sock");
        for (var i = 0; i < cluster.Nodes.Count; i++)
            command.Environment[$"NODE{i + 1}"] = cluster.Nodes[i].Address.Authority;
        return Child.Start(command, run.Environment.Log("haproxy"), run.Environment.Reaper);
    }

    private static string Checkout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new CannotException("the bench runs outside of the checkout");
        return folder;
    }
}
