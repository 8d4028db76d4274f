using System.Globalization;

namespace Chat.Faults;

/// <summary>One attacker and twenty ordinary pairs: the attacker may slow down only the attacker.</summary>
internal static class Attackers
{
    private const int Pairs = 20;
    private const int Longest = 4000;
    private static readonly TimeSpan Unnoticed = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SignIn = TimeSpan.FromSeconds(2);

    // So that an account with years of conversations can be created in seconds.
    private static readonly Dictionary<string, string> Openings = new()
    {
        ["Limits__ConversationsPerMinute"] = "1000000",
        ["Limits__MaxConversations"] = "1000000",
        ["Limits__MaxUnknownContacts"] = "1000000",
    };

    /// <summary>A user with thousands of conversations signs in on many sockets, repeatedly.</summary>
    public static Task SignInsAsync(ExperimentRun run) => AttackAsync(
        run,
        new Plan { Nodes = 1, Node = Openings },
        attack => attack.OpenConversationsAsync(run.Sized(2000, 3000)),
        (attack, enough) => attack.RepeatAsync(run.Sized(40, 100), TimeSpan.Zero, (_, stop) => attack.SignInAsync(stop), enough));

    /// <summary>A user with thousands of conversations makes the most expensive requests.</summary>
    public static Task CallsAsync(ExperimentRun run)
    {
        string[] calls = ["/chat/unread", $"/chat/presence?userIds={Guid.NewGuid()}", "/chat/conversations?limit=200"];
        return AttackAsync(
            run,
            new Plan { Nodes = 1, Node = Openings },
            attack => attack.OpenConversationsAsync(run.Sized(2000, 20_000)),
            (attack, enough) =>
                attack.RepeatAsync(64, TimeSpan.Zero, (number, stop) => attack.CallAsync(calls[number % calls.Length], stop), enough));
    }

    /// <summary>A user requests more than fits in memory on many sockets, and hardly reads it.</summary>
    public static Task SyncsAsync(ExperimentRun run) => AttackAsync(
        run,
        new Plan { Nodes = 1, Node = Openings },
        async attack => await attack.FillAsync(
            await attack.OpenConversationsAsync(run.Sized(8, 20)), 201, string.Concat(Enumerable.Repeat("😀", Longest))),
        (attack, enough) => attack.RepeatAsync(30, TimeSpan.FromSeconds(1),
        (_, stop) => attack.ReadSlowlyAsync("""{"type":"sync","payload":{"conversations":{}}}""", stop), enough));

    /// <summary>An unauthenticated client sends frames that close its socket, and does not answer the close.</summary>
    public static Task FramesAsync(ExperimentRun run)
    {
        // A binary frame, an incomplete header, and the first fragment of a message that never continues.
        byte[][] frames = [[0x82, 0x81, 1, 2, 3, 4, 5], [0x82, 0x81, 1, 2, 3, 4], [0x02, 0x81, 1, 2, 3, 4, 5]];
        return AttackAsync(
            run,
            new Plan { Nodes = 1 },
            _ => Task.CompletedTask,
            (attack, enough) => attack.RepeatAsync(150, TimeSpan.FromSeconds(1),
            (number, stop) => attack.SendAndWaitAsync(null, frames[number % frames.Length], stop), enough),
            mostCores: 0.5);
    }

    /// <summary>An unauthenticated client holds silent connections, and sockets without a token or with an invalid one.</summary>
    public static Task SilenceAsync(ExperimentRun run) => AttackAsync(
        run,
        new Plan { Nodes = 1, Files = 1500, Node = { ["Limits__MaxUnauthenticated"] = "300", ["Limits__HandshakesPerSecond"] = "2000" } },
        _ => Task.CompletedTask,
        (attack, enough) => Task.WhenAll(
            attack.RepeatAsync(1300, TimeSpan.FromSeconds(1), (_, stop) => attack.StaySilentAsync(stop), enough),
            attack.RepeatAsync(320, TimeSpan.FromSeconds(1),
            (number, stop) => attack.SendAndWaitAsync(number % 2 == 0 ? null : "no.token.at.all", [], stop), enough)));

    private static async Task AttackAsync(ExperimentRun run, Plan plan, Func<Attack, Task> prepareAsync,
        Func<Attack, CancellationToken, Task> attackAsync, double? mostCores = null)
    {
        await using var cluster = await run.StartAsync(plan);
        using var attack = new Attack(cluster.Nodes[0]);
        await prepareAsync(attack);
        await using var load = await run.TalkAsync(cluster, new Crowd(2 * Pairs, 1, 4 * Pairs));
        await run.GoOnAsync(2, 5);
        await using var watcher = new Watcher(load);
        await using var newcomers = new Newcomers(load);

        var calm = new Stretch(load, cluster.Nodes[0]);
        await run.GoOnAsync(4, 15);
        calm.End();
        var attacked = new Stretch(load, cluster.Nodes[0]);
        using (var enough = new CancellationTokenSource())
        {
            var attacking = attackAsync(attack, enough.Token);
            await run.GoOnAsync(8, 30);
            attacked.End();
            await enough.CancelAsync();
            await attacking;
        }

        await newcomers.DisposeAsync();
        run.Heal(load);
        Judge(run, load, newcomers, calm, attacked, mostCores);
        run.Note("the attacker's", attack.Outcome);
        // The attacker's connections must not count as connections that the node has leaked.
        attack.Dispose();
        await run.JudgeAsync(cluster, load, watcher, presenceSettlesWithin: TimeSpan.FromSeconds(65));
        run.ExpectCalm(watcher, load);
        run.Expect(watcher.Unready.Count == 0, $"a node was not ready: {string.Join(", ", watcher.Unready.Values)}");
    }

    private static void Judge(ExperimentRun run, Load load, Newcomers newcomers, Stretch calm, Stretch attacked, double? mostCores)
    {
        var (before, meanwhile) = (load.AckP99(calm.From, calm.To), load.AckP99(attacked.From, attacked.To));
        run.Note("others' ack p99", $"{before.TotalMilliseconds:0} ms before, {meanwhile.TotalMilliseconds:0} ms meanwhile");
        run.Expect(meanwhile < Bearable(Unnoticed, before), $"others waited {meanwhile.TotalMilliseconds:0} ms for their acks");

        var (slowestBefore, _, _) = newcomers.Seen(calm.From, calm.To);
        var (slowest, tries, refused) = newcomers.Seen(attacked.From, attacked.To);
        run.Note("their sign-ins", string.Create(
            CultureInfo.InvariantCulture, $"{slowestBefore.TotalMilliseconds:0} ms before, {slowest.TotalMilliseconds:0} ms meanwhile"));
        run.Expect(slowest < Bearable(SignIn, slowestBefore), $"another user's sign-in took {slowest.TotalSeconds:0.0} s");
        run.Expect(tries > 0 && refused == 0, $"{refused} of {tries} sign-ins of others were refused");

        run.Note(
            "processor", string.Create(CultureInfo.InvariantCulture, $"{calm.Cores:0.00} cores before, {attacked.Cores:0.00} meanwhile"));
        if (mostCores is { } most)
            run.Expect(attacked.Cores - calm.Cores < most,
                string.Create(CultureInfo.InvariantCulture, $"the attacker kept {attacked.Cores - calm.Cores:0.0} cores busy"));
    }

    // On a busy machine they have waited before.
    private static TimeSpan Bearable(TimeSpan usually, TimeSpan before) => 5 * before > usually ? 5 * before : usually;

    /// <summary>An interval, and the processor time the node used in it.</summary>
    private sealed class Stretch(Load load, ChatNode node)
    {
        private readonly TimeSpan worked = node.ProcessorTime;

        public TimeSpan From { get; } = load.Now;

        public TimeSpan To { get; private set; }

        public double Cores { get; private set; }

        public void End()
        {
            To = load.Now;
            Cores = (node.ProcessorTime - worked) / (To - From);
        }
    }
}
