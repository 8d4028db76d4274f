namespace Chat.Faults;

/// <summary>A backup comes back: what was said after it was taken is gone, and its numbers are given once more.</summary>
internal static class Restores
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(8);

    public static async Task BackupAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 1 });
        var program = Path.Combine(trial.Workshop.Files.Binaries.Folder, "pg_basebackup");
        if (!File.Exists(program))
            throw new CannotException("there is no pg_basebackup beside this PostgreSQL's programs");
        var backup = $"{cluster.Postgres.Data}-backup";
        var node = cluster.Nodes[0];
        Guid before;
        Person person;
        long kept, lost;
        await using (var load = await trial.TalkAsync(cluster, new Crowd(8, 1, trial.Sized(60, 300))))
        {
            person = load.People[0];
            await trial.GoOnAsync(2, 5);
            before = await EpochAsync(load, node, person);
            await trial.Workshop.Files.RunAsync(program, "-d", $"postgresql://{PostgresFiles.Name}:{PostgresServer.Password}@127.0.0.1:{cluster.Postgres.Port}", "-D", backup, "-c", "fast", "--no-sync");
            kept = await SeqAsync(load, node, person);
            await trial.GoOnAsync(2, 5);
            await load.FallSilentAsync(Patience);
            lost = await SeqAsync(load, node, person);
            trial.Expect(lost > kept, "nothing was said after the backup");
            trial.Heal(load);
            // All of this is judged while it is still there.
            await trial.JudgeAsync(cluster, load);
        }

        await node.TerminateAsync();
        await cluster.Postgres.StopFastAsync();
        await trial.Workshop.Files.RunAsync("touch", Path.Combine(backup, "recovery.signal"));
        cluster.Postgres.Data = backup;
        cluster.Postgres.Settings.Add("restore_command=false");
        await cluster.Postgres.StartAsync();
        await node.StartAsync();

        await using (var later = await trial.TalkAsync(cluster, new Crowd(8, 1, 60)))
        {
            var after = await EpochAsync(later, node, person);
            trial.Expect(after != before, "the restored database has the epoch of the one that it replaced");
            var there = await SeqAsync(later, node, person);
            trial.Expect(there < lost, "the restored database holds what was said after the backup");
            trial.Note("numbers", $"{lost} before, {there} after");
            // A client that sees another epoch loads afresh, and gets exactly what there is.
            using var line = await Line.OpenAsync(node, later.Handshakes, "afresh", person.User, person.Token, new Dictionary<Guid, long> { [person.Conversation.Id] = 0 }, later.Began, (_, _) => { }, Patience)
                ?? throw new InvalidOperationException("The restored node takes no connection.");
            trial.Expect(await line.CatchUpAsync(Patience) && line.CaughtUp.Select(message => message.Seq).Order().SequenceEqual(Enumerable.Range(1, (int)there).Select(number => (long)number)), $"loading afresh gave {line.CaughtUp.Count} messages, and there are {there}");
            await line.LeaveAsync();
            await trial.GoOnAsync(1, 5);
            await trial.JudgeAsync(cluster, later);
        }
    }

    private static async Task<Guid> EpochAsync(Load load, ChatNode node, Person person)
    {
        using var line = await Line.OpenAsync(node, load.Handshakes, "epoch", person.User, person.Token, new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Patience)
            ?? throw new InvalidOperationException($"{node.Name} takes no connection.");
        await line.AskAsync("ping", new { }, Patience);
        var epoch = line.Told().Frames.First(frame => frame.Type == "auth_success").GetGuid("epoch");
        await line.LeaveAsync();
        return epoch;
    }

    private static async Task<long> SeqAsync(Load load, ChatNode node, Person person) =>
        (await load.GetAsync(person, node, $"/chat/conversations/{person.Conversation.Id}")).GetProperty("seq").GetInt64();
}
