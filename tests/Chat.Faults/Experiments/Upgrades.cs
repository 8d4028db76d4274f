using System.Diagnostics;
using System.Globalization;

namespace Chat.Faults;

/// <summary>What an engineer does to an installation on purpose, while people talk.</summary>
internal static class Upgrades
{
    /// <summary>The last version, whose nodes must go on while this one is rolled out: the last release, and until there is one, the last commit with other tables.</summary>
    public const string LastVersion = "d16e20280488d3b9722c3f869ca5bacacb56caeb";

    private static readonly TimeSpan BuildLimit = TimeSpan.FromMinutes(4);

    /// <summary>Everybody comes through the load balancer, and so nobody knows which node they are on.</summary>
    public static Task BehindHaproxyAsync(Trial trial) => ThroughHaproxyAsync(trial, async (cluster, _, load, haproxy) =>
    {
        await RestartOneByOneAsync(trial, cluster, load);
        // It keeps connections of its own to the nodes, for requests to come.
        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), whenLeft: () => haproxy.Send(Signal.Kill));
        ExpectGoodbyes(trial, load);
    });

    /// <summary>Redis is away from all nodes: none is ready, all do their work, and whoever comes is let in all the same.</summary>
    public static Task WithoutAReadyNodeAsync(Trial trial) => ThroughHaproxyAsync(trial, async (cluster, front, load, haproxy) =>
    {
        cluster.Redis.Pause();
        foreach (var node in cluster.Nodes)
            await Wait.UntilAsync($"{node.Name} is not ready", TimeSpan.FromSeconds(20), async () => !(await node.HealthAsync("ready")).IsOk);
        // The load balancer asks every second, and believes the second answer.
        await trial.GoOnAsync(4, 10);
        trial.Expect((await front.HealthAsync("live")).IsOk, "nobody gets to a node any more");
        cluster.Redis.Resume();
        foreach (var node in cluster.Nodes)
            await Wait.UntilAsync($"{node.Name} is ready again", TimeSpan.FromSeconds(20), async () => (await node.HealthAsync("ready")).IsOk);
        trial.Heal(load);
        await trial.GoOnAsync(2, 5);
        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5), presenceSettlesWithin: TimeSpan.FromSeconds(20), whenLeft: () => haproxy.Send(Signal.Kill));
        trial.Expect(load.Closes.Count == 0, "sockets did not stay");
    });

    private static async Task ThroughHaproxyAsync(Trial trial, Func<Cluster, ChatNode, Load, Child, Task> goOn)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 2, Node = { ["Proxies__Known"] = "127.0.0.1" } });
        var port = trial.Workshop.Ports.Next();
        await using var haproxy = StartHaproxy(trial, cluster, port);
        // Stands for the load balancer where a node is asked for; it is never started itself.
        await using var front = new ChatNode("front", "", port, new Dictionary<string, string>(), trial.Workshop.Log("front"), trial.Workshop.Reaper);
        await Wait.UntilAsync("the load balancer sends people on", TimeSpan.FromSeconds(20), async () => (await front.HealthAsync("ready")).IsOk);
        // The same servers; only the door is another one.
        var installation = new Cluster([front], cluster.Postgres, cluster.Redis, cluster.ToPostgres, cluster.ToRedis);
        await using var load = await trial.TalkAsync(installation);
        await trial.GoOnAsync(1, 5);
        trial.Note("spread", string.Join(" and ", cluster.Nodes.Select(Cluster.ConnectionsTo)));
        trial.Expect(cluster.Nodes.All(node => Cluster.ConnectionsTo(node) > 0), "one node got all connections");
        await goOn(cluster, front, load, haproxy);
    }

    /// <summary>The schema of the new version first, under the old nodes; then one node after the other.</summary>
    public static async Task FromOldAsync(Trial trial)
    {
        var old = await BuildAsync(trial, trial.Options.Old);
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 2, Server = old });
        await using var load = await trial.TalkAsync(cluster);
        await trial.GoOnAsync(2, 5);
        var began = Stopwatch.GetTimestamp();
        var (first, wasOld) = (cluster.Nodes[0], cluster.Nodes[0].Assembly);
        first.Assembly = Workshop.Release;
        await first.RunAsync("db-apply");
        first.Assembly = wasOld;
        trial.Note("db-apply", Stopwatch.GetElapsedTime(began));
        // Old nodes on the new schema, for as long as the rollout takes.
        await trial.GoOnAsync(2, 10);
        trial.Expect(load.Closes.Count == 0, "the new schema closed connections of the old version");
        await RestartOneByOneAsync(trial, cluster, load, Workshop.Release);
        await trial.JudgeAsync(cluster, load, recoversWithin: TimeSpan.FromSeconds(5));
        ExpectGoodbyes(trial, load);
    }

    /// <summary>Publishes the server as it was, out of git and below the run's own folder. The other experiments go before it, but leave it enough to come to its end.</summary>
    private static async Task<string> BuildAsync(Trial trial, string commit)
    {
        const string Build = "git archive \"$0\" | tar -x -C \"$1\" && cd \"$1\" && exec nice -n 5 dotnet publish src/Chat -c Release -o \"$1/out\" -nodeReuse:false -p:UseSharedCompilation=false";
        var began = Stopwatch.GetTimestamp();
        if (!await RunAsync("exec git cat-file -e \"$0^{commit}\"", commit))
            throw new CannotException($"git does not know {commit} here");
        var folder = Directory.CreateDirectory(Path.Combine(trial.Workshop.Folder, "old")).FullName;
        if (!await RunAsync(Build, commit, folder))
            throw new InvalidOperationException($"{commit} does not build: {await File.ReadAllTextAsync(trial.Workshop.Log("old-build"))}");
        trial.Note("old version", commit[..Math.Min(commit.Length, 12)]);
        trial.Note("its build", Stopwatch.GetElapsedTime(began));
        return Path.Combine(folder, "out", "Chat.dll");

        async Task<bool> RunAsync(string script, params string[] arguments)
        {
            var command = new ProcessStartInfo("/bin/sh", ["-c", script, .. arguments]) { WorkingDirectory = Checkout() };
            await using var child = Child.Start(command, trial.Workshop.Log("old-build"), trial.Workshop.Reaper);
            return await child.ExitAsync(BuildLimit) == 0;
        }
    }

    private static async Task RestartOneByOneAsync(Trial trial, Cluster cluster, Load load, string? server = null)
    {
        var slowest = TimeSpan.Zero;
        foreach (var node in cluster.Nodes)
        {
            var took = await node.TerminateAsync();
            slowest = took > slowest ? took : slowest;
            node.Assembly = server ?? node.Assembly;
            await node.StartAsync();
            await Wait.UntilAsync($"{node.Name} is ready", TimeSpan.FromSeconds(30), async () => (await node.HealthAsync("ready")).IsOk);
            trial.Heal(load);
            // A load balancer has to notice, and both versions are to work side by side.
            await trial.GoOnAsync(4, 10);
        }

        trial.Note("slowest stop", slowest);
        trial.Expect(slowest < TimeSpan.FromSeconds(30), $"a stop took {slowest.TotalSeconds:0.0} s");
    }

    private static void ExpectGoodbyes(Trial trial, Load load)
    {
        trial.Expect(load.Closes.ContainsKey(1012), "nobody was closed with 1012");
        trial.Expect(!load.Closes.ContainsKey(1006), $"{load.Closes.GetValueOrDefault(1006)} connections broke instead of being closed");
    }

    private static Child StartHaproxy(Trial trial, Cluster cluster, int port)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Select(folder => Path.Combine(folder, "haproxy")).FirstOrDefault(File.Exists)
            ?? throw new CannotException("HAProxy is not installed");
        var command = new ProcessStartInfo(program, ["-db", "-f", Path.Combine(Checkout(), "deploy", "haproxy", "haproxy.cfg")]);
        command.Environment["PORT"] = port.ToString(CultureInfo.InvariantCulture);
        command.Environment["STATS_SOCKET"] = Path.Combine(trial.Workshop.Folder, "haproxy.sock");
        for (var i = 0; i < cluster.Nodes.Count; i++)
            command.Environment[$"NODE{i + 1}"] = cluster.Nodes[i].Address.Authority;
        return Child.Start(command, trial.Workshop.Log("haproxy"), trial.Workshop.Reaper);
    }

    private static string Checkout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new CannotException("the bench runs outside of the checkout");
        return folder;
    }
}
