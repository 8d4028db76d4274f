using System.Diagnostics;

namespace Chat.Faults;

/// <summary>One thing that can fail.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="What">What is done to whom.</param>
/// <param name="RunAsync">Does it, and judges.</param>
internal sealed record Experiment(string Name, string What, Func<Trial, Task> RunAsync);

/// <summary>An experiment cannot be made on this machine.</summary>
internal sealed class CannotException(string why) : Exception(why);

/// <summary>The table of contents.</summary>
internal static class Experiments
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(6);

    public static IReadOnlyList<Experiment> All { get; } =
    [
        new("node-killed", "one of three nodes is killed under load and started again", Nodes.KilledAsync),
        new("node-lost", "the machine of one of three nodes vanishes without a goodbye", Nodes.LostAsync),
        new("rolling-restart", "each of three nodes is stopped with SIGTERM and started again", Nodes.RollingRestartAsync),
        new("balancer", "rolling restart of two nodes behind HAProxy, with deploy/haproxy/haproxy.cfg", Upgrades.BehindHaproxyAsync),
        new("balancer-redis", "Redis is away from two nodes behind HAProxy, and none is ready", Upgrades.WithoutAReadyNodeAsync),
        new("upgrade", "from an older version, built from git, to this one, node by node, after db-apply", Upgrades.FromOldAsync),
        new("death-before-ack", "a node dies between commit and ack", Failpoints.AfterCommitAsync),
        new("death-before-push", "a node dies between ack and push", Failpoints.AfterAckAsync),
        new("postgres-fast", "PostgreSQL is stopped (fast) and started again", Databases.RestartedFastAsync),
        new("postgres-immediate", "PostgreSQL is stopped (immediate) and started again", Databases.RestartedImmediatelyAsync),
        new("postgres-paused", "PostgreSQL stands still and keeps its connections", Databases.PausedAsync),
        new("postgres-silent", "PostgreSQL's answers to one node get lost", Databases.SilentAsync),
        new("postgres-refusing", "one node cannot reach PostgreSQL", Databases.RefusingAsync),
        new("commit-cut", "connections are cut when PostgreSQL has committed, before it can say so", Databases.CutInMidCommitAsync),
        new("postgres-torn", "a slow network that cuts connections in the middle of anything", Databases.SlowAndTornAsync),
        new("postgres-full", "somebody else takes all of PostgreSQL's connections", Databases.OutOfConnectionsAsync),
        new("disk-full", "the disk with PostgreSQL's log is full", Databases.DiskFullAsync),
        new("redis-killed", "Redis is killed and comes back empty", Redises.KilledAsync),
        new("redis-paused", "Redis stands still", Redises.PausedAsync),
        new("redis-deaf", "one node hears nothing from Redis", Redises.DeafAsync),
        new("redis-overrun", "Redis cuts off a node that does not keep up", Redises.OverrunAsync),
        new("slow-readers", "devices in a busy place that do not read", Peers.SlowReadersAsync),
        new("half-open", "the network between clients and a node falls silent", Peers.HalfOpenAsync),
        new("reset-in-frame", "clients' connections are reset in the middle of a frame", Peers.ResetAsync),
        new("storm-jitter", "a node's sockets come back after its death, spread a little", Storms.WithJitterAsync),
        new("storm", "a node's sockets come back after its death, all at once", Storms.WithoutJitterAsync),
        new("attack-sign-ins", "one attacker, twenty pairs: an account with thousands of conversations signs in again and again", Attackers.SignInsAsync),
        new("attack-calls", "one attacker, twenty pairs: calls that cost as much as there is, 64 at a time", Attackers.CallsAsync),
        new("attack-syncs", "one attacker, twenty pairs: sync of long messages on 30 sockets that hardly read", Attackers.SyncsAsync),
        new("attack-frames", "one attacker, twenty pairs: frames that end a socket, without an account, 150 at a time", Attackers.FramesAsync),
        new("attack-silence", "one attacker, twenty pairs: connections that say nothing, and sockets without a good token", Attackers.SilenceAsync),
        new("twins", "the same send within 10 ms on three nodes", Numbers.TwinsAsync),
        new("sync-numbers", "sync with stale, future, negative and huge numbers", Numbers.SyncAsync),
        new("clock", "nodes whose clocks are an hour ahead and behind", Numbers.ClockAsync),
        new("restore", "a backup of PostgreSQL is restored", Restores.BackupAsync),
        new("weather", "all kinds of faults come and go", Weather.StormyAsync),
    ];

    public static async Task<Outcome> RunAsync(Experiment experiment, Workshop workshop, Options options)
    {
        var trial = new Trial(workshop, options);
        var began = Stopwatch.GetTimestamp();
        string? cannot = null;
        try
        {
            await experiment.RunAsync(trial).WaitAsync(LongestRun);
        }
        catch (CannotException why)
        {
            cannot = why.Message;
        }
#pragma warning disable CA1031 // Whatever it was: the other experiments are to be made.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            trial.Expect(false, $"the experiment did not get to its end: {failure}");
        }

        return new Outcome
        {
            Name = experiment.Name,
            Seed = options.Seed,
            Skipped = cannot,
            Findings = trial.Findings,
            Notes = trial.Notes,
            Figures = trial.Figures,
            Seconds = Stopwatch.GetElapsedTime(began).TotalSeconds,
        };
    }
}
