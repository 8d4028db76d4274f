using System.Globalization;

namespace Chat.Faults;

/// <summary>One attacker, twenty ordinary pairs: what the attacker does may slow the attacker, and nobody else.</summary>
internal static class Attackers
{
    private const int Pairs = 20;
    private const int Longest = 4000;
    private static readonly TimeSpan Unnoticed = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SignIn = TimeSpan.FromSeconds(2);

    // So that an account with years of conversations is made in seconds.
    private static readonly Dictionary<string, string> Openings = new()
    {
        ["Limits__ConversationsPerMinute"] = "1000000",
        ["Limits__MaxConversations"] = "1000000",
        ["Limits__MaxUnknownContacts"] = "1000000",
    };

    /// <summary>Somebody with thousands of conversations signs in on many sockets, again and again.</summary>
    public static Task SignInsAsync(Trial trial) => AttackAsync(
        trial,
        new Plan { Nodes = 1, Node = Openings },
        attack => attack.MeetAsync(trial.Sized(2000, 3000)),
        (attack, enough) => attack.RepeatAsync(trial.Sized(40, 100), TimeSpan.Zero, (_, stop) => attack.SignInAsync(stop), enough));

    /// <summary>Somebody with thousands of conversations asks for what costs as much as there is.</summary>
    public static Task CallsAsync(Trial trial)
    {
        string[] calls = ["/chat/unread", $"/chat/presence?userIds={Guid.NewGuid()}", "/chat/conversations?limit=200"];
        return AttackAsync(
            trial,
            new Plan { Nodes = 1, Node = Openings },
            attack => attack.MeetAsync(trial.Sized(2000, 20_000)),
            (attack, enough) => attack.RepeatAsync(64, TimeSpan.Zero, (number, stop) => attack.CallAsync(calls[number % calls.Length], stop), enough));
    }

    /// <summary>Somebody asks on many sockets for more than memory should hold, and hardly reads it.</summary>
    public static Task SyncsAsync(Trial trial) => AttackAsync(
        trial,
        new Plan { Nodes = 1, Node = Openings },
        async attack => await attack.FillAsync(await attack.MeetAsync(trial.Sized(8, 20)), 201, string.Concat(Enumerable.Repeat("😀", Longest))),
        (attack, enough) => attack.RepeatAsync(30, TimeSpan.FromSeconds(1), (_, stop) => attack.ReadSlowlyAsync("""{"type":"sync","payload":{"conversations":{}}}""", stop), enough));

    /// <summary>Somebody without an account sends frames that end their socket, and does not answer the close.</summary>
    public static Task FramesAsync(Trial trial)
    {
        // A binary frame, no more than its head, and the first fragment of a message that does not go on.
        byte[][] frames = [[0x82, 0x81, 1, 2, 3, 4, 5], [0x82, 0x81, 1, 2, 3, 4], [0x02, 0x81, 1, 2, 3, 4, 5]];
        return AttackAsync(
            trial,
            new Plan { Nodes = 1 },
            _ => Task.CompletedTask,
            (attack, enough) => attack.RepeatAsync(150, TimeSpan.FromSeconds(1), (number, stop) => attack.OutwaitAsync(null, frames[number % frames.Length], stop), enough),
            mostCores: 0.5);
    }

    /// <summary>Somebody without an account holds connections that say nothing, and sockets without a token or with a bad one.</summary>
    public static Task SilenceAsync(Trial trial) => AttackAsync(
        trial,
        new Plan { Nodes = 1, Files = 1500, Node = { ["Limits__MaxUnauthenticated"] = "300", ["Limits__HandshakesPerSecond"] = "2000" } },
        _ => Task.CompletedTask,
        (attack, enough) => Task.WhenAll(
            attack.RepeatAsync(1300, TimeSpan.FromSeconds(1), (_, stop) => attack.SayNothingAsync(stop), enough),
            attack.RepeatAsync(320, TimeSpan.FromSeconds(1), (number, stop) => attack.OutwaitAsync(number % 2 == 0 ? null : "no.token.at.all", [], stop), enough)));

    private static async Task AttackAsync(Trial trial, Plan plan, Func<Attack, Task> prepareAsync, Func<Attack, CancellationToken, Task> attackAsync, double? mostCores = null)
    {
        await using var cluster = await trial.StartAsync(plan);
        using var attack = new Attack(cluster.Nodes[0]);
        await prepareAsync(attack);
        await using var load = await trial.TalkAsync(cluster, new Crowd(2 * Pairs, 1, 4 * Pairs));
        await trial.GoOnAsync(2, 5);
        await using var watcher = new Watcher(load);
        await using var newcomers = new Newcomers(load);

        var calm = new Stretch(load, cluster.Nodes[0]);
        await trial.GoOnAsync(4, 15);
        calm.End();
        var attacked = new Stretch(load, cluster.Nodes[0]);
        using (var enough = new CancellationTokenSource())
        {
            var attacking = attackAsync(attack, enough.Token);
            await trial.GoOnAsync(8, 30);
            attacked.End();
            await enough.CancelAsync();
            await attacking;
        }

        await newcomers.DisposeAsync();
        trial.Heal(load);
        Judge(trial, load, newcomers, calm, attacked, mostCores);
        trial.Note("the attacker's", attack.Outcome);
        // Its connections are not to be taken for some that the node has left over.
        attack.Dispose();
        await trial.JudgeAsync(cluster, load, watcher, presenceSettlesWithin: TimeSpan.FromSeconds(65));
        trial.ExpectCalm(watcher, load);
        trial.Expect(watcher.Unready.Count == 0, $"a node was not ready: {string.Join(", ", watcher.Unready.Values)}");
    }

    private static void Judge(Trial trial, Load load, Newcomers newcomers, Stretch calm, Stretch attacked, double? mostCores)
    {
        var (before, meanwhile) = (load.AckP99(calm.From, calm.To), load.AckP99(attacked.From, attacked.To));
        trial.Note("others' ack p99", $"{before.TotalMilliseconds:0} ms before, {meanwhile.TotalMilliseconds:0} ms meanwhile");
        trial.Expect(meanwhile < Bearable(Unnoticed, before), $"others waited {meanwhile.TotalMilliseconds:0} ms for their acks");

        var (slowestBefore, _, _) = newcomers.Seen(calm.From, calm.To);
        var (slowest, tries, refused) = newcomers.Seen(attacked.From, attacked.To);
        trial.Note("their sign-ins", string.Create(CultureInfo.InvariantCulture, $"{slowestBefore.TotalMilliseconds:0} ms before, {slowest.TotalMilliseconds:0} ms meanwhile"));
        trial.Expect(slowest < Bearable(SignIn, slowestBefore), $"a sign-in of somebody else took {slowest.TotalSeconds:0.0} s");
        trial.Expect(tries > 0 && refused == 0, $"{refused} of {tries} sign-ins of others were refused");

        trial.Note("processor", string.Create(CultureInfo.InvariantCulture, $"{calm.Cores:0.00} cores before, {attacked.Cores:0.00} meanwhile"));
        if (mostCores is { } most)
            trial.Expect(attacked.Cores - calm.Cores < most, string.Create(CultureInfo.InvariantCulture, $"the attacker kept {attacked.Cores - calm.Cores:0.0} cores busy"));
    }

    // On a machine that is busy by itself they have waited before.
    private static TimeSpan Bearable(TimeSpan usually, TimeSpan before) => 5 * before > usually ? 5 * before : usually;

    /// <summary>A part of the time, and what the node worked in it.</summary>
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
