using System.Diagnostics;

namespace Chat.Faults;

/// <summary>One fault to test.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="What">The fault and its target.</param>
/// <param name="RunAsync">Runs and judges it.</param>
internal sealed record Experiment(string Name, string What, Func<ExperimentRun, Task> RunAsync);

/// <summary>Thrown if an experiment is not possible on this machine.</summary>
internal sealed class CannotException(string why) : Exception(why);

/// <summary>The list of all experiments.</summary>
internal static class Experiments
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(6);

    public static IReadOnlyList<Experiment> All { get; } =
    [
        new("node-killed", "one of three nodes is killed under load and restarted", Nodes.KilledAsync),
        new("node-lost", "the machine of one of three nodes disappears without notice", Nodes.LostAsync),
        new("rolling-restart", "each of three nodes is stopped with SIGTERM and restarted", Nodes.RollingRestartAsync),
        new("balancer", "rolling restart of two nodes behind HAProxy, with deploy/haproxy/haproxy.cfg", Upgrades.BehindHaproxyAsync),
        new("balancer-redis", "Redis is unavailable to two nodes behind HAProxy, and none is ready", Upgrades.WithoutAReadyNodeAsync),
        new("upgrade", "a rolling upgrade from an older version, built from git, after db-apply", Upgrades.FromOldAsync),
        new("death-before-ack", "a node crashes between commit and ack", Failpoints.AfterCommitAsync),
        new("death-before-push", "a node crashes between ack and push", Failpoints.AfterAckAsync),
        new("postgres-fast", "PostgreSQL is stopped (fast) and restarted", Databases.RestartedFastAsync),
        new("postgres-immediate", "PostgreSQL is stopped (immediate) and restarted", Databases.RestartedImmediatelyAsync),
        new("postgres-paused", "PostgreSQL is suspended and keeps its connections", Databases.PausedAsync),
        new("postgres-silent", "PostgreSQL's replies to one node are lost", Databases.SilentAsync),
        new("postgres-refusing", "one node cannot reach PostgreSQL", Databases.RefusingAsync),
        new("commit-cut", "connections are cut after PostgreSQL has committed, before the reply", Databases.CutInMidCommitAsync),
        new("postgres-torn", "a slow network that cuts connections at random positions", Databases.SlowAndTornAsync),
        new("postgres-full", "another client takes all of PostgreSQL's connections", Databases.OutOfConnectionsAsync),
        new("disk-full", "the disk with PostgreSQL's write-ahead log is full", Databases.DiskFullAsync),
        new("redis-killed", "Redis is killed and restarts empty", Redises.KilledAsync),
        new("redis-paused", "Redis is suspended", Redises.PausedAsync),
        new("redis-deaf", "one node receives nothing from Redis", Redises.DeafAsync),
        new("redis-deaf-long", "one node receives nothing from Redis, while a transaction stays open in PostgreSQL",
            Redises.DeafBesideLongTransactionAsync),
        new("redis-overrun", "Redis disconnects a node that does not keep up", Redises.OverrunAsync),
        new("slow-readers", "devices in busy conversations that do not read", Peers.SlowReadersAsync),
        new("half-open", "the network between clients and a node goes silent", Peers.HalfOpenAsync),
        new("reset-in-frame", "clients' connections are reset in the middle of a frame", Peers.ResetAsync),
        new("storm-jitter", "a node's clients reconnect after its crash, with a little jitter", Storms.WithJitterAsync),
        new("storm", "a node's clients reconnect after its crash, all at once", Storms.WithoutJitterAsync),
        new("attack-sign-ins", "one attacker, twenty pairs: an account with thousands of conversations signs in repeatedly",
        Attackers.SignInsAsync),
        new("attack-calls", "one attacker, twenty pairs: the most expensive calls, 64 at a time", Attackers.CallsAsync),
        new("attack-syncs", "one attacker, twenty pairs: syncs of long messages on 30 sockets that hardly read", Attackers.SyncsAsync),
        new("attack-frames", "one attacker, twenty pairs: unauthenticated frames that close the socket, 150 at a time",
        Attackers.FramesAsync),
        new("attack-silence", "one attacker, twenty pairs: silent connections, and sockets without a valid token", Attackers.SilenceAsync),
        new("twins", "the same send within 10 ms on three nodes", Numbers.DuplicateSendsAsync),
        new("sync-numbers", "sync with stale, future, negative and huge numbers", Numbers.SyncAsync),
        new("clock", "nodes whose clocks are an hour ahead and behind", Numbers.ClockAsync),
        new("restore", "a backup of PostgreSQL is restored", Restores.BackupAsync),
        new("weather", "random faults under load", RandomFaults.RunAsync),
    ];

    public static async Task<Outcome> RunAsync(Experiment experiment, TestEnvironment environment, Options options)
    {
        var run = new ExperimentRun(environment, options);
        var began = Stopwatch.GetTimestamp();
        string? cannot = null;
        try
        {
            await experiment.RunAsync(run).WaitAsync(LongestRun);
        }
        catch (CannotException why)
        {
            cannot = why.Message;
        }
#pragma warning disable CA1031 // Whatever it was: the other experiments are to be made.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            run.Expect(false, $"the experiment did not get to its end: {failure}");
        }

        return new Outcome
        {
            Name = experiment.Name,
            Seed = options.Seed,
            Skipped = cannot,
            Findings = run.Findings,
            Notes = run.Notes,
            Figures = run.Figures,
            Seconds = Stopwatch.GetElapsedTime(began).TotalSeconds,
        };
    }
}
