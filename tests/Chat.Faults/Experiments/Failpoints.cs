namespace Chat.Faults;

/// <summary>A node dies in the one place where it matters most. Debug builds of the server, which have failpoints.</summary>
internal static class Failpoints
{
    public static Task AfterCommitAsync(Trial trial) => DieAsync(trial, "AfterCommit", isAnswered: false);

    public static Task AfterAckAsync(Trial trial) => DieAsync(trial, "AfterAck", isAnswered: true);

    private static async Task DieAsync(Trial trial, string place, bool isAnswered)
    {
        await using var cluster = await trial.StartAsync(new Plan { HasFailpoints = true });
        var victim = cluster.Nodes[0];
        for (var round = 0; round < trial.Sized(1, 3); round++)
        {
            var lastWords = $"last words {trial.Seed}-{round}";
            victim.Special[$"Failpoints__{place}"] = lastWords;
            await victim.KillAsync();
            await victim.StartAsync();
            await using var load = await trial.TalkAsync(cluster, new Crowd(8, 2, trial.Sized(40, 200)));
            await trial.GoOnAsync(1, 3);

            var (device, saying, asked) = await SayLastWordsAsync(load, victim, lastWords);
            trial.Heal(load);
            var tries = load.Tries(saying.TempId);
            trial.Expect(saying.Acked is not null, "the last words never got an answer");
            trial.Expect(isAnswered ? tries.Count == 1 : tries.Count > 1 && tries[0].Response is null, $"the node died elsewhere: {string.Join("; ", tries)}");
            await trial.GoOnAsync(1, 3);

            // By number, within five seconds of the commit, on every other device that stayed.
            var late = load.Devices
                .Where(other => other != device && other.Person.Conversation == device.Person.Conversation && other.Lines.Count == 1)
                .Select(other => other.Arrivals.TryGetValue(saying.MessageId ?? Guid.Empty, out var at) ? at - asked : TimeSpan.MaxValue)
                .DefaultIfEmpty(TimeSpan.Zero).Max();
            if (late == TimeSpan.MaxValue)
            {
                await Task.Delay(TimeSpan.FromSeconds(5));
                late = load.Devices.Where(other => other.Person.Conversation == device.Person.Conversation)
                    .Select(other => other.Arrivals.TryGetValue(saying.MessageId ?? Guid.Empty, out var at) ? at - asked : TimeSpan.MaxValue).Max();
            }

            trial.Note("last words arrived after", late == TimeSpan.MaxValue ? TimeSpan.FromSeconds(999) : late);
            trial.Expect(late < TimeSpan.FromSeconds(5.5), "the last words did not arrive within 5 s of their commit");
            victim.Special.Clear();
            await victim.StartAsync();
            await trial.JudgeAsync(cluster, load, presenceSettlesWithin: TimeSpan.FromSeconds(65));
        }
    }

    // Over the node that is going to die; the repeat goes to another one. On a busy machine the first try may have found no
    // way in, and then it is said again. Not over REST: that goes to any node, and its answer comes behind the push.
    private static async Task<(Device Device, Saying Saying, TimeSpan Asked)> SayLastWordsAsync(Load load, ChatNode victim, string words)
    {
        for (var attempt = 1; ; attempt++)
        {
            var device = load.Devices.First(device => device.Current?.Name.EndsWith("@0", StringComparison.Ordinal) == true);
            var asked = load.Now;
            var saying = await device.SayAsync(words, mayCall: false);
            try
            {
                await victim.ExitAsync(TimeSpan.FromSeconds(10));
                return (device, saying, asked);
            }
            catch (OperationCanceledException) when (attempt < 3)
            {
                // Still alive: it has not met these words.
            }
        }
    }
}
