namespace Chat.Faults;

/// <summary>A backup is restored: later messages are gone, and their sequence numbers are reused.</summary>
internal static class Restores
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(8);

    public static async Task BackupAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 1 });
        var program = Path.Combine(run.Environment.Files.Binaries.Folder, "pg_basebackup");
        if (!File.Exists(program))
            throw new CannotException("there is no pg_basebackup beside this PostgreSQL's programs");
        var backup = $"{cluster.Postgres.Data}-backup";
        var node = cluster.Nodes[0];
        Guid before;
        Person person;
        long kept, lost;
        await using (var load = await run.TalkAsync(cluster, new Crowd(8, 1, run.Sized(60, 300))))
        {
            person = load.People[0];
            await run.GoOnAsync(2, 5);
            before = await EpochAsync(load, node, person);
            await run.Environment.Files.RunAsync(
                program, "-d", $"postgresql://{PostgresFiles.Name}:{PostgresServer.Password}@127.0.0.1:{cluster.Postgres.Port}", "-D",
                backup, "-c", "fast", "--no-sync");
            kept = await SeqAsync(load, node, person);
            await run.GoOnAsync(2, 5);
            await load.QuiesceAsync(Timeout);
            lost = await SeqAsync(load, node, person);
            run.Expect(lost > kept, "nothing was said after the backup");
            run.Heal(load);
            // Judged before the restore.
            await run.JudgeAsync(cluster, load);
        }

        await node.TerminateAsync();
        await cluster.Postgres.StopFastAsync();
        await run.Environment.Files.RunAsync("touch", Path.Combine(backup, "recovery.signal"));
        cluster.Postgres.Data = backup;
        cluster.Postgres.Settings.Add("restore_command=false");
        await cluster.Postgres.StartAsync();
        await node.StartAsync();

        await using (var later = await run.TalkAsync(cluster, new Crowd(8, 1, 60)))
        {
            var after = await EpochAsync(later, node, person);
            run.Expect(after != before, "the restored database has the epoch of the one that it replaced");
            var there = await SeqAsync(later, node, person);
            run.Expect(there < lost, "the restored database holds what was said after the backup");
            run.Note("numbers", $"{lost} before, {there} after");
            // A client that sees another epoch reloads everything, and gets exactly what exists.
            using var socket = await ClientSocket.OpenAsync(node, later.Handshakes, "afresh", person.User, person.Token,
                new Dictionary<Guid, long> { [person.Conversation.Id] = 0 }, later.Began, (_, _) => { }, Timeout)
                ?? throw new InvalidOperationException("The restored node takes no connection.");
            run.Expect(
                await socket.SynchronizeAsync(Timeout)
                    && socket.CaughtUp.Select(message => message.Seq).Order().SequenceEqual(Enumerable.Range(1, (int)there)
                    .Select(number => (long)number)), $"loading afresh gave {socket.CaughtUp.Count} messages, and there are {there}");
            await socket.LeaveAsync();
            await run.GoOnAsync(1, 5);
            await run.JudgeAsync(cluster, later);
        }
    }

    private static async Task<Guid> EpochAsync(Load load, ChatNode node, Person person)
    {
        using var socket = await ClientSocket.OpenAsync(
            node, load.Handshakes, "epoch", person.User, person.Token, new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Timeout)
            ?? throw new InvalidOperationException($"{node.Name} takes no connection.");
        await socket.AskAsync("ping", new { }, Timeout);
        var epoch = socket.Record().Frames.First(frame => frame.Type == "auth_success").GetGuid("epoch");
        await socket.LeaveAsync();
        return epoch;
    }

    private static async Task<long> SeqAsync(Load load, ChatNode node, Person person) =>
        (await load.GetAsync(person, node, $"/chat/conversations/{person.Conversation.Id}")).GetProperty("seq").GetInt64();
}
