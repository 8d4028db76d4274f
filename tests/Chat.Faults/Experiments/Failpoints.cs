namespace Chat.Faults;

/// <summary>A node crashes at the most critical points. Requires a Debug build of the server, which has failpoints.</summary>
internal static class Failpoints
{
    public static Task AfterCommitAsync(ExperimentRun run) => DieAsync(run, "AfterCommit", isAnswered: false);

    public static Task AfterAckAsync(ExperimentRun run) => DieAsync(run, "AfterAck", isAnswered: true);

    private static async Task DieAsync(ExperimentRun run, string place, bool isAnswered)
    {
        await using var cluster = await run.StartAsync(new Plan { HasFailpoints = true });
        var victim = cluster.Nodes[0];
        for (var round = 0; round < run.Sized(1, 3); round++)
        {
            var lastWords = $"last words {run.Seed}-{round}";
            victim.Special[$"Failpoints__{place}"] = lastWords;
            await victim.KillAsync();
            await victim.StartAsync();
            await using var load = await run.TalkAsync(cluster, new Crowd(8, 2, run.Sized(40, 200)));
            await run.GoOnAsync(1, 3);

            var (device, saying, asked) = await SayLastWordsAsync(load, victim, lastWords);
            run.Heal(load);
            var tries = load.Tries(saying.TempId);
            run.Expect(saying.Acked is not null, "the last words never got an answer");
            run.Expect(isAnswered ? tries.Count == 1 : tries.Count > 1 && tries[0].Response is null,
                $"the node crashed at another point: {string.Join("; ", tries)}");
            await run.GoOnAsync(1, 3);

            // Fetched by sequence number, within five seconds of the commit, on every other device that stayed connected.
            var late = load.Devices
                .Where(other => other != device && other.Person.Conversation == device.Person.Conversation && other.Sockets.Count == 1)
                .Select(other => other.Arrivals.TryGetValue(saying.MessageId ?? Guid.Empty, out var at) ? at - asked : TimeSpan.MaxValue)
                .DefaultIfEmpty(TimeSpan.Zero).Max();
            if (late == TimeSpan.MaxValue)
            {
                await Task.Delay(TimeSpan.FromSeconds(5));
                late = load.Devices.Where(other => other.Person.Conversation == device.Person.Conversation)
                    .Select(other =>
                        other.Arrivals.TryGetValue(saying.MessageId ?? Guid.Empty, out var at) ? at - asked : TimeSpan.MaxValue).Max();
            }

            run.Note("last words arrived after", late == TimeSpan.MaxValue ? TimeSpan.FromSeconds(999) : late);
            run.Expect(late < TimeSpan.FromSeconds(5.5), "the last words did not arrive within 5 s of their commit");
            victim.Special.Clear();
            await victim.StartAsync();
            await run.JudgeAsync(cluster, load, presenceSettlesWithin: TimeSpan.FromSeconds(65));
        }
    }

    // Over the node that will crash; the retry goes to another one. On a busy machine the first attempt may fail to connect and is
    // repeated. Not over REST: a REST call goes to any node, and its response follows the push.
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
                // Still alive: it has not received this content.
            }
        }
    }
}
